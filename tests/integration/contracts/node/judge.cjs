// judge.cjs DOCUMENT FOLDER: what the official parser says, and models in three languages, into FOLDER/LANGUAGE.
const fs = require("fs");
const path = require("path");
const { Parser } = require("@asyncapi/parser");
const { JavaFileGenerator, PythonFileGenerator, TypeScriptFileGenerator, PYTHON_PYDANTIC_PRESET } = require("@asyncapi/modelina");

const generators = {
  java: [new JavaFileGenerator({ collectionType: "List" }), { packageName: "events" }],
  python: [new PythonFileGenerator({ presets: [PYTHON_PYDANTIC_PRESET] }), { importsStyle: "explicit", packageName: "python" }],
  typescript: [new TypeScriptFileGenerator({ modelType: "interface" }), { exportType: "named" }],
};

(async () => {
  const [source, folder] = process.argv.slice(2);
  const { document, diagnostics } = await new Parser().parse(fs.readFileSync(source, "utf8"));
  const told = (severity) =>
    diagnostics.filter((each) => each.severity === severity).map((each) => `${each.code}: ${each.message} at ${each.path.join(".")}`);
  const found = { valid: Boolean(document), errors: told(0), warnings: told(1), messages: [], models: {} };
  if (document) {
    for (const each of document.components().messages().all())
      found.messages.push({ id: each.id(), headers: Object.keys(each.headers()?.properties() ?? {}), payload: each.payload()?.title() });
    for (const [language, [generator, options]] of Object.entries(generators)) {
      const models = await generator.generateToFiles(document, path.join(folder, language), options);
      found.models[language] = models.map((each) => each.modelName);
    }
  }
  console.log(JSON.stringify(found));
})();
