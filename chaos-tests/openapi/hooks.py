"""What the checker leaves alone of requests: headers that each operation takes, of which one is asked for by the test itself."""

import schemathesis

# Who names an entry that is not there yet waits for it, and is told that it did not come.
EVERYWHERE = {"#/components/parameters/index", "#/components/parameters/request"}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [parameter for parameter in parameters if parameter.get("$ref") not in EVERYWHERE]
