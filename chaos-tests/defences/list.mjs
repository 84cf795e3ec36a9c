// Every defence that tests are shown to miss.

import { client } from "./client.mjs";
import { people } from "./people.mjs";
import { web } from "./web.mjs";

export const defences = [...web, ...people, ...client];
