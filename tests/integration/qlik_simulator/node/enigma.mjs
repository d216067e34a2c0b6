// enigma.js against the simulator: open, layout, delta, selection, `changed`, paging, errors, suspending, closing.
// Usage: node enigma.mjs <engine url with app and identity> <app id> <control url>; the last line of the output
// is JSON.
import { createRequire } from 'node:module';
import enigma from 'enigma.js';
import WebSocket from 'ws';

const schema = createRequire(import.meta.url)('enigma.js/schemas/12.2027.0.json');
const [url, appId, control] = process.argv.slice(2);
const headers = { 'X-Qlik-User': 'UserDirectory=INTERNAL; UserId=sa_engine' };
const found = { notifications: [], errors: {}, whole: 0, differences: 0 };
const connect = (address, more = {}) =>
  enigma.create({ schema, url: address, createSocket: (at) => new WebSocket(at, { headers }), ...more });
const order = async (fault) => {
  const answer = await fetch(`${control}/_sim/fault`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ place: 'engine', fault }),
  });
  if (answer.status !== 201) throw new Error(await answer.text());
};
const failing = async (name, call) => {
  found.errors[name] = await call().then(() => 'no error', (error) => error.code);
};
const next = (emitter, event) => new Promise((resolve) => { emitter.once(event, resolve); });

// What one user does in one session.
const session = connect(url, { suspendOnClose: true });
session.on('notification:*', (name) => found.notifications.push(name));
session.on('traffic:received', (frame) => {
  if (frame.delta !== true) return;
  const paths = Object.values(frame.result).flat().map((patch) => patch.path);
  found.whole += paths.filter((path) => path === '/').length;
  found.differences += paths.filter((path) => path !== '/').length;
});
const global = await session.open();
found.version = (await global.engineVersion()).qComponentVersion;
await failing('no app is open', () => global.getActiveDoc());
await failing('there is no such app', () => global.openDoc('no-such-app'));
const doc = await global.openDoc(appId);
await failing('the app is open already', () => global.openDoc(appId));
found.title = (await doc.getAppLayout()).qTitle;

const definition = {
  qInfo: { qType: 'test' },
  qHyperCubeDef: {
    qDimensions: [{ qDef: { qFieldDefs: ['origin'], qSortCriterias: [{ qSortByAscii: 1 }] } }],
    qMeasures: [{ qDef: { qDef: 'Count(flight)' } }],
    qInitialDataFetch: [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 100 }],
  },
};
const cube = await doc.createSessionObject(definition);
const rows = (layout) => layout.qHyperCube.qDataPages[0].qMatrix.map((row) => [row[0].qText, row[1].qNum]);
found.before = rows(await cube.getLayout());

const changed = next(cube, 'changed');
const field = await doc.getField('origin');
found.selected = await field.selectValues([{ qText: 'JFK' }, { qText: 'LGA' }]);
await changed;
found.after = rows(await cube.getLayout());
await doc.clearAll();
found.cleared = rows(await cube.getLayout());
found.unchanged = rows(await cube.getLayout());

const page = (qTop, qHeight) => [{ qLeft: 0, qTop, qWidth: 2, qHeight }];
const pages = await cube.getHyperCubeData('/qHyperCubeDef', page(1, 1));
found.page = pages[0].qMatrix.map((row) => row[0].qText);
await failing('the page is too large', () => cube.getHyperCubeData('/qHyperCubeDef', page(0, 5001)));
await failing('there is no such path', () => cube.getHyperCubeData('/qOther', page(0, 1)));
await failing('there is no such object', () => doc.getObject('no-such-object'));
await failing('the simulator has no such method', () => doc.getScript());
for (const code of [15, 5, 6001, 7004, 11000]) {
  await order({ kind: 'error', method: 'GetHyperCubeData', code });
  await failing(`ordered ${code}`, () => cube.getHyperCubeData('/qHyperCubeDef', page(0, 1)));
}

// A second socket with the same identity: one session.
const other = connect(url);
const state = next(other, 'notification:OnConnected');
const theirs = await (await other.open()).getActiveDoc();
found.attached = (await state).qSessionState;
const pushed = next(cube, 'changed');
await (await theirs.getField('origin')).selectValues([{ qText: 'EWR' }]);
await pushed;
found.foreign = rows(await cube.getLayout());
await other.close();

// A session outlives its socket, by choice and by accident.
await session.suspend();
await session.resume(true);
found.resumed = rows(await cube.getLayout());
const suspended = next(session, 'suspended');
await order({ kind: 'close', method: 'EngineVersion', code: 4003 });
global.engineVersion().catch(() => {});
found.suspended = await suspended.then((event) => [event.initiator, event.code ?? null]);
await session.resume(true);
found.resumedAgain = rows(await cube.getLayout());

const gone = next(cube, 'closed');
await doc.destroySessionObject(cube.id);
await gone;
const sheet = await doc.getObject('sheet-overview');
found.types = [];
for (const { qId } of await sheet.getChildInfos()) {
  const layout = await (await doc.getObject(qId)).getLayout();
  found.types.push([qId, layout.qInfo.qType, layout.qHyperCube ? layout.qHyperCube.qMode : null]);
}
await session.close();
console.log(JSON.stringify(found));
