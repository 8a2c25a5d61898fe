"""Validates the configurations beside a schema with PyPI's jsonschema, and files that must be refused.

    python3 validate_configurations.py configs/hardmoe.schema.json

Ends with status 1 if one of them is judged wrongly, and says which.
"""
import json
import pathlib
import sys

import jsonschema
import yaml

VALID = [
    "",  # every section is optional
    "base:",  # and may be empty
    "seed: 3\nbase: {epochs: 2.5, lr: 1, step_epochs: 4, augment: {crop: pad}}",
    "ingest: {sources: a.tar, resize: 64}\nrun: {controls: none, levers: [router], gpus: 2}",
]
REFUSED = {
    "bsae: {epochs: 3}": "bsae",
    "base: {epohcs: 3}": "epohcs",
    "base: {augment: {crops: pad}}": "crops",
    "base: {epochs: many}": "many",
    "base: {batch: 1.5}": "1.5",
    "base: {optimizer: adam}": "adam",
    "base: {nesterov: 1}": "1",
    "seed: -1": "-1",
    "run: {controls: [shorter]}": "shorter",
    "model: 18": "18",
}


def main(schema_file):
    schema = json.loads(schema_file.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def faults(text):
        return [error.message for error in validator.iter_errors(yaml.safe_load(text))]

    wrong = []
    files = sorted(schema_file.parent.rglob("*.yaml"))
    if not files:
        wrong.append(f"no configurations beside {schema_file}")
    for file in files:
        wrong += [f"{file}: {fault}" for fault in faults(file.read_text())]
        first = file.read_text().splitlines()[0]
        named = first.removeprefix("# yaml-language-server: $schema=")
        if named == first or not (file.parent / named).samefile(schema_file):
            wrong.append(f"{file}: the first line does not name the schema for editors: {first}")
    for text in VALID:
        wrong += [f"{text!r} is valid: {fault}" for fault in faults(text)]
    for text, named in REFUSED.items():
        if not any(named in fault for fault in faults(text)):
            wrong.append(f"{text!r}: expected a fault that names {named}, found {faults(text)}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
