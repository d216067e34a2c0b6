// enigma.js against the simulator: open, layout, delta, selection, `changed`, paging, errors, closing.
// Usage: node enigma.mjs <engine url with app and identity> <app id>; the last line of the output is JSON.
import { createRequire } from 'node:module';
import enigma from 'enigma.js';
import WebSocket from 'ws';

const schema = createRequire(import.meta.url)('enigma.js/schemas/12.2027.0.json');
const [url, appId] = process.argv.slice(2);
const headers = { 'X-Qlik-User': 'UserDirectory=INTERNAL; UserId=sa_engine' };
const found = { notifications: [] };

const session = enigma.create({ schema, url, createSocket: (address) => new WebSocket(address, { headers }) });
session.on('notification:*', (name) => found.notifications.push(name));
const global = await session.open();
found.version = (await global.engineVersion()).qComponentVersion;
const doc = await global.openDoc(appId);
found.title = (await doc.getAppLayout()).qTitle;

const cube = await doc.createSessionObject({
  qInfo: { qType: 'test' },
  qHyperCubeDef: {
    qDimensions: [{ qDef: { qFieldDefs: ['origin'], qSortCriterias: [{ qSortByAscii: 1 }] } }],
    qMeasures: [{ qDef: { qDef: 'Count(flight)' } }],
    qInitialDataFetch: [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 100 }],
  },
});
const rows = (layout) => layout.qHyperCube.qDataPages[0].qMatrix.map((row) => [row[0].qText, row[1].qNum]);
found.before = rows(await cube.getLayout());

const changed = new Promise((resolve) => cube.once('changed', resolve));
const field = await doc.getField('origin');
found.selected = await field.selectValues([{ qText: 'JFK' }, { qText: 'LGA' }]);
await changed;
found.after = rows(await cube.getLayout());
await doc.clearAll();
found.cleared = rows(await cube.getLayout());

const pages = await cube.getHyperCubeData('/qHyperCubeDef', [{ qLeft: 0, qTop: 1, qWidth: 2, qHeight: 1 }]);
found.page = pages[0].qMatrix.map((row) => row[0].qText);
try {
  await cube.getHyperCubeData('/qHyperCubeDef', [{ qLeft: 0, qTop: 0, qWidth: 2, qHeight: 5001 }]);
} catch (error) {
  found.tooLarge = error.code;
}
try {
  await doc.getObject('no-such-object');
} catch (error) {
  found.missing = error.code;
}
const closed = new Promise((resolve) => cube.once('closed', resolve));
await doc.destroySessionObject(cube.id);
await closed;

const sheet = await doc.getObject('sheet-overview');
const children = await sheet.getChildInfos();
found.types = [];
for (const { qId } of children) {
  const child = await doc.getObject(qId);
  const layout = await child.getLayout();
  found.types.push([qId, layout.qInfo.qType, layout.qHyperCube ? layout.qHyperCube.qMode : null]);
}
await session.close();
console.log(JSON.stringify(found));
