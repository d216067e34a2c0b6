// @qlik/api against the simulator as a tenant: REST and QIX with one host config, closed and resumed.
// Usage: node qlik-api.mjs <http url> <app id> <api key>; the last line of the output is JSON.
import qlik from '@qlik/api';

const [host, appId, apiKey] = process.argv.slice(2);
const hostConfig = { host, authType: 'apikey', apiKey };
qlik.auth.setDefaultHostConfig(hostConfig);
const found = { closed: {}, errors: {} };
const command = async (path, body) => {
  const answer = await fetch(`${host}/_sim/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
};
const order = (place, fault) => command('fault', { place, fault });
const failing = async (name, call, of = (error) => error.status ?? error.code) => {
  found.errors[name] = await call().then(() => 'no error', of);
};

// REST
found.me = (await qlik.users.getMyUser()).data.id;
found.items = (await qlik.items.getItems({ resourceType: 'app' })).data.data.map((item) => item.resourceId);
const created = (await qlik.reloads.queueReload({ appId })).data;
let reload = created;
while (['QUEUED', 'RELOADING'].includes(reload.status)) {
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  reload = (await qlik.reloads.getReload(created.id)).data;
}
found.reload = reload.status;
found.newest = (await qlik.reloads.getReloads({ appId, limit: 1 })).data.data[0].id === created.id;
await failing('no such reload', () => qlik.reloads.getReload('none'));
await order('cloud', { kind: 'refuse', code: 403 });
await failing('refused', () => qlik.items.getItems({}));
await order('cloud', { kind: 'refuse', code: 429, seconds: 1 });
await failing('too many', () => qlik.items.getItems({ resourceType: 'app', limit: 7 }));

// QIX
const open = (identity) => {
  const events = [];
  const session = qlik.qix.openAppSession({ appId, identity });
  session.onWebSocketEvent((event) => events.push([event.eventType, event.code ?? null]));
  return { session, events };
};
const definition = {
  qInfo: { qType: 'test' },
  qHyperCubeDef: {
    qDimensions: [{ qDef: { qFieldDefs: ['carrier'] } }],
    qMeasures: [{ qDef: { qDef: 'Sum(distance)' }, qSortBy: { qSortByNumeric: -1 } }],
    qInterColumnSortOrder: [1, 0],
    qInitialDataFetch: [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 3 }],
  },
};
const rows = (layout) => layout.qHyperCube.qDataPages[0].qMatrix.map((row) => [row[0].qText, row[1].qNum]);
const { session, events } = open(`api-${process.pid}`);
const doc = await session.getDoc();
let aborted = 0;
doc.session.on('traffic:received', (frame) => { aborted += frame.error?.code === 15; });
found.title = (await doc.getAppLayout()).qTitle;
const cube = await doc.createSessionObject(definition);
found.before = rows(await cube.getLayout());
const changed = new Promise((resolve) => { cube.once('changed', resolve); });
await (await doc.getField('carrier')).selectValues([{ qText: 'HA' }]);
await changed;
found.after = rows(await cube.getLayout());

// It asks again by itself when properties were aborted, but not when a page was.
await order('engine', { kind: 'error', method: 'GetProperties', code: 15 });
found.afterAbort = (await cube.getProperties()).qInfo.qType;
await order('engine', { kind: 'error', method: 'GetHyperCubeData', code: 15 });
const page = [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 3 }];
await failing('a page aborted', () => cube.getHyperCubeData('/qHyperCubeDef', page), (error) => error.code);
found.aborted = aborted;
await failing('no such object', () => doc.getObject('none'), (error) => error.code);

// Ended by the site: after some codes it comes back by itself, after others only when it is told to.
const until = async (log, type) => {
  while (!log.some(([eventType]) => eventType === type)) {
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  return log.find(([eventType]) => eventType === type)[1];
};
for (const code of [4001, 4002, 4003, 4004, 4005, 4006, 4007]) {
  await (await doc.getField('carrier')).selectValues([{ qText: 'HA' }]);
  events.length = 0;
  await command('end-sessions', { code });
  const closedWith = await until(events, 'suspended');
  if ([4003, 4004, 4007].includes(code)) {
    await until(events, 'resumed'); // nobody told it to
  } else {
    for (let again = 0; again < 5; again += 1) await (await fetch(`${host}/_sim/health`)).text();
  }
  const byItself = events.some(([eventType]) => eventType === 'resumed');
  if (!byItself) await session.resume();
  const after = await (await doc.createSessionObject(definition)).getLayout();
  found.closed[code] = [closedWith, byItself, rows(after).length];
}
await session.close();

// Closed at the greeting: whether opening the app fails or comes first, the code is told.
found.refused = [];
for (const code of [4203, 4204, 4205, 4240]) {
  await order('greeting', { kind: 'close', code });
  const refused = open(`api-${process.pid}-${code}`);
  refused.session.getDoc().catch(() => {});
  found.refused.push(await until(refused.events, 'suspended'));
  await refused.session.close();
}
console.log(JSON.stringify(found));
process.exit(0);
