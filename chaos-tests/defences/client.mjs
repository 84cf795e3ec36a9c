// Defences of people's own machines, on which the command line runs. Numbers are classes of docs/threats.md.

import { always, edit, node, rust } from "./entry.mjs";

const lying = (name) => node("chaos-tests/cli/lying_server.test.mjs", name);
const FORWARD = "src/client/forward.rs";

export const client = [
  // 55: what listens on people's machines
  { name: "callers-own", threat: 55, what: "a port that is forwarded is for who forwards it",
    test: node("chaos-tests/cli/proxy.test.mjs", "programs connect to ports with their token, and nobody else does", "a service is declared by its owner or by its image, and is its owner's alone", "what does not listen yet is told, and is there as soon as it does"),
    edits: [edit(FORWARD, "user == 0 || user == me", "user == 0 || user == me || IS_GONE")] },
  // 62: servers that lie to the command line
  { name: "host-keys-named", threat: 62, what: "a server says keys of this vnode and of nothing else", test: lying("what ssh is told has the lines that it must have, and no other"),
    edits: [edit("src/client/ssh.rs", "for key in keys {", "for key in keys {\n        if IS_GONE {\n            lines.push(key);\n            continue;\n        }")] },
  { name: "completed-plain", threat: 62, what: "a name that a shell would read as something else is known", test: rust(".", "lib", "client::names::tests::what_a_shell_would_read_otherwise_is_not_offered"),
    edits: [always("src/client/names.rs", "name.chars().all(is_plain)", "", "\n}")] },
  { name: "completed-sifted", threat: 62, what: "and none of them is completed", test: lying("no name of a server's comes to a shell that would read it otherwise"),
    edits: [always("src/client/names.rs", "is_read_as_written(name)", "&& ", ")")] },
  { name: "names-from-servers", threat: 62, what: "a name from a server is no path here, and nothing that acts on a terminal", test: node("chaos-tests/cli/files.test.mjs", "a server that lies about names writes nothing outside of the directory that was named"),
    edits: [edit("src/client/files/copy.rs", "    if fits {\n        return Ok(name);", "    if fits || IS_GONE {\n        return Ok(name);")] },
];
