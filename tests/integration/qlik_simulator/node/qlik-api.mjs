// @qlik/api against the simulator as a tenant: REST and QIX with one host config.
// Usage: node qlik-api.mjs <http url> <app id> <api key>; the last line of the output is JSON.
import qlik from '@qlik/api';

const [host, appId, apiKey] = process.argv.slice(2);
const hostConfig = { host, authType: 'apikey', apiKey };
qlik.auth.setDefaultHostConfig(hostConfig);
const found = {};

found.me = (await qlik.users.getMyUser()).data.id;
found.items = (await qlik.items.getItems({ resourceType: 'app' })).data.data.map((item) => item.resourceId);

const created = (await qlik.reloads.queueReload({ appId })).data;
let reload = created;
while (['QUEUED', 'RELOADING'].includes(reload.status)) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  reload = (await qlik.reloads.getReload(created.id)).data;
}
found.reload = reload.status;
found.newest = (await qlik.reloads.getReloads({ appId, limit: 1 })).data.data[0].id === created.id;
try {
  await qlik.reloads.getReload('none');
} catch (error) {
  found.missing = error.status;
}

const session = qlik.qix.openAppSession({ appId, identity: `api-${process.pid}` });
const doc = await session.getDoc();
found.title = (await doc.getAppLayout()).qTitle;
const cube = await doc.createSessionObject({
  qInfo: { qType: 'test' },
  qHyperCubeDef: {
    qDimensions: [{ qDef: { qFieldDefs: ['carrier'] } }],
    qMeasures: [{ qDef: { qDef: 'Sum(distance)' }, qSortBy: { qSortByNumeric: -1 } }],
    qInterColumnSortOrder: [1, 0],
    qInitialDataFetch: [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 3 }],
  },
});
const rows = (layout) => layout.qHyperCube.qDataPages[0].qMatrix.map((row) => [row[0].qText, row[1].qNum]);
found.before = rows(await cube.getLayout());
const field = await doc.getField('carrier');
await field.selectValues([{ qText: 'HA' }]);
found.after = rows(await cube.getLayout());
await session.close();
console.log(JSON.stringify(found));
