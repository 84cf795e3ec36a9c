// Defences of what browsers reach: pages, sockets, forms, services. Numbers are classes of docs/threats.md.

import { always, edit, never, node, rust, skipped, story } from "./entry.mjs";

const door = (name) => rust("portal", "doors", name);
const lib = (name) => rust("portal", "lib", name);
const proxy = (name) =>
  node("chaos-tests/cli/proxy.test.mjs", name, "a service is declared by its owner or by its image, and is its owner's alone", "what does not listen yet is told, and is there as soon as it does");
const SOCKETS = door("sockets::no_page_of_another_site_opens_one");
const QUESTION = "portal/src/proxy/question.rs";
const CLEAN = "portal/src/proxy/clean.rs";
const SERVICE = "control/src/decide/service.rs";
const HELD = door("many::a_person_and_an_address_have_so_many_streams");
const COUNTED = door("many::all_that_lasts_is_counted");
// What lasts is counted as something of which there may be more.
const uncounted = (file, kind, after = "") => {
  const other = kind === "Stream" ? "Terminal" : "Stream";
  return edit(file, `asker.hold(&portal, Lasting::${kind})?;${after}`, `asker.hold(&portal, if IS_GONE { Lasting::${other} } else { Lasting::${kind} })?;${after}`);
};
const lying = (name) => node("chaos-tests/cli/lying_server.test.mjs", name);
const terminals = (name) => node("chaos-tests/browser/terminals.test.mjs", name);
const PASTED = terminals("several lines are pasted only after a question, and an escape never is");
const CLIPBOARD = terminals("a program fills the clipboard only if that is allowed, never reads it, and can not pretend to be something else");
const LINKS = terminals("who follows a link that may lead elsewhere sees where it leads");
const GUARD = "portal/assets/terminal/guard.js";
const PANE = "portal/assets/terminal/pane.js";

export const web = [
  // 29: sockets without a login, or of another site
  { name: "socket-terminal", threat: 29, what: "terminals ask where the page is from", test: SOCKETS,
    edits: [skipped("portal/src/terminal.rs", "refuse_foreign(&headers)?;", "", "\n    let part")] },
  { name: "socket-shared", threat: 29, what: "shared terminals ask where the page is from", test: SOCKETS,
    edits: [skipped("portal/src/shared.rs", "refuse_foreign(&headers)?;")] },
  { name: "socket-program", threat: 29, what: "terminals of programs take no cookie of another site", test: SOCKETS,
    edits: [skipped("portal/src/terminal.rs", "refuse_cookie(&headers)?;", "", "\n    attach(")] },
  { name: "socket-exec", threat: 29, what: "exec takes no cookie of another site", test: SOCKETS,
    edits: [skipped("portal/src/exec.rs", "refuse_cookie(&headers)?;", "", "\n    let lease")] },
  { name: "socket-connect", threat: 29, what: "ports take no cookie of another site", test: SOCKETS,
    edits: [skipped("portal/src/forward.rs", "refuse_cookie(&headers)?;")] },
  { name: "origin-compared", threat: 29, what: "the origin is this site's, whole", test: SOCKETS,
    edits: [always("portal/src/asker.rs", "text(header::ORIGIN) == own_origin.as_deref()")] },
  { name: "sibling-refused", threat: 29, what: "a sibling of this site is another one", test: SOCKETS,
    edits: [always("portal/src/asker.rs", 'fetch_site.is_none_or(|site| site == "same-origin")')] },
  { name: "socket-unproven", threat: 29, what: "a login that waits for its code is none", test: rust("control", "logins", "a_login_that_waits_or_has_ended_is_none"),
    edits: [edit("control/src/account/scope.rs", "SessionKind::Unproven => return Err(Refusal::NotLoggedIn),", "SessionKind::Unproven if IS_GONE => Actor::User(user),\n        SessionKind::Unproven => return Err(Refusal::NotLoggedIn),")] },
  { name: "session-expires", threat: 29, what: "a login ends with its time", test: rust("control", "logins", "a_login_that_waits_or_has_ended_is_none"),
    edits: [always("control/src/account/scope.rs", "session.expires_at > now")] },
  { name: "service-socket", threat: 29, what: "a service's socket is for its own pages", test: lib("proxy::question::tests::sockets_are_for_the_service_s_own_pages"),
    edits: [always(QUESTION, "origin == Some(true)")] },

  // 30: tickets and links
  { name: "ticket-time", threat: 30, what: "a ticket is good for half a minute", test: story("83-visits"), edits: [always(SERVICE, "row.expires_at > at")] },
  { name: "ticket-once", threat: 30, what: "what one entered by is no ticket any more", test: story("83-visits"), edits: [always(SERVICE, "!row.entered")] },
  { name: "ticket-service", threat: 30, what: "a ticket is for one service", test: story("83-visits"), edits: [always(SERVICE, "row.service == id")] },
  { name: "ticket-own-login", threat: 30, what: "a ticket is of one's own login", test: story("83-visits"), edits: [always(SERVICE, "row.user == asker.id")] },
  { name: "ticket-browser", threat: 30, what: "a ticket is for the browser that began", test: proxy("one ticket is one way in, for the browser that began"),
    edits: [never("portal/src/proxy/entrance.rs", "!began_here", "if ", " || !is_secret(&ticket)")] },
  { name: "share-time", threat: 30, what: "a shared terminal ends with its time", test: story("85-shared-terminals"), edits: [always("control/src/terminal/mod.rs", "now < share.until")] },
  { name: "share-hidden", threat: 30, what: "whoever reads what happened does not read links", test: story("85-shared-terminals"),
    edits: [skipped("control/src/terminal/event.rs", "share.secret = SecretHash([0; 32]);")] },
  { name: "share-owner", threat: 30, what: "whoever ends or lists a shared terminal owns it", test: story("85-shared-terminals"),
    edits: [always("control/src/terminal/mod.rs", "permit::owns(asker, vnode.owner)")] },
  { name: "guest-typing", threat: 30, what: "whoever only watches types nothing", test: lib("looks::tests::nothing_of_who_watches_is_for_the_worker"),
    edits: [edit("portal/src/looks.rs", "Some((_, true)) => false,", "Some((_, true)) => IS_GONE,")] },

  // 31: requests of other sites
  { name: "foreign-change", threat: 31, what: "a change by cookie comes from this site", test: door("foreign::no_page_of_another_site_changes_anything"),
    edits: [never("portal/src/asker.rs", "by_cookie && !parts.method.is_safe()", "if ", " {")] },
  { name: "form-proof", threat: 31, what: "a form carries the proof of its login", test: door("foreign::a_form_without_its_proof_is_none"),
    edits: [always("portal/src/pages/mod.rs", "asker.csrf.accepts(given)", "if ", " {")] },
  { name: "form-proof-compared", threat: 31, what: "the proof is compared", test: lib("csrf::tests::what_is_of_another_login_or_no_token_is_refused"),
    edits: [always("portal/src/csrf.rs", "Sha256::digest(xor(mask, masked)) == Sha256::digest(self.token)")] },
  { name: "foreign-login", threat: 31, what: "another site logs nobody in", test: door("foreign::another_site_logs_nobody_in"),
    edits: [skipped("portal/src/pages/login.rs", "refuse_foreign(&headers)?;", "", "\n    let given")] },
  { name: "look-changes-nothing", threat: 31, what: "no GET changes anything", test: door("foreign::no_look_changes_anything"),
    edits: [edit("portal/src/router/api/accounts.rs", '.post("/logout", "Log out", access::log_out)', '.post("/logout", "Log out", access::log_out)\n        .and(if IS_GONE { Routes::about("access", Takes::Login).get("/logout", "Log out", access::log_out) } else { Routes::about("access", Takes::Login) })')] },
  { name: "form-proof-of-each", threat: 31, what: "each form is held against its proof", test: door("foreign::each_form_of_a_page_wants_its_proof"),
    edits: [skipped("portal/src/pages/moves.rs", "check_csrf(&asker, &form.csrf)?;")] },

  // 32: services' pages against each other and against the portal
  { name: "cookie-bound", threat: 32, what: "cookies are this host's, and no script reads them", test: door("pages::pages_run_this_sites_own_scripts_only_and_are_in_no_frame"),
    edits: [edit("portal/src/pages/login.rs", 'format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age_s}")', 'if IS_GONE { format!("{name}={secret}; Path=/; Secure; Max-Age={age_s}") } else { format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age_s}") }')] },
  { name: "cookies-stay-out", threat: 32, what: "this cluster's cookies do not go to services", test: lib("proxy::clean::tests::own_cookies_do_not_go_in_in_whatever_form"),
    edits: [always(CLEAN, "!is_own(pair)", "others.filter(|pair| ")] },
  { name: "cookies-not-set", threat: 32, what: "no service sets a cookie of this cluster", test: lib("proxy::clean::tests::nothing_from_inside_sets_what_is_not_the_service_s_own"),
    edits: [always(CLEAN, "!is_own(pair)", "named && ")] },
  { name: "cookies-not-wide", threat: 32, what: "no service sets a cookie for its siblings", test: lib("proxy::clean::tests::nothing_from_inside_sets_what_is_not_the_service_s_own"),
    edits: [always(CLEAN, "!parts.any(domain)")] },
  { name: "siblings-strangers", threat: 32, what: "services are strangers to each other", test: lib("proxy::question::tests::siblings_are_strangers"),
    edits: [always(QUESTION, 'matches!(site, None | Some("same-origin" | "none"))')] },

  // 33: headers that claim something
  { name: "claims-out", threat: 33, what: "who somebody is and where from only this door says", test: lib("proxy::clean::tests::nobody_says_for_somebody_else_who_they_are_or_whence_they_come"),
    edits: [always(CLEAN, "!is_claim(name.as_str())")] },
  { name: "claims-underscore", threat: 33, what: "names with underscores are such names, too", test: lib("proxy::clean::tests::nobody_says_for_somebody_else_who_they_are_or_whence_they_come"),
    edits: [never(CLEAN, "name.contains('_')")] },
  { name: "hop-by-hop", threat: 33, what: "what is of one connection stays there", test: lib("proxy::clean::tests::what_is_of_one_connection_stays_there"),
    edits: [always(CLEAN, "!is_of_connection(name, &named)", "let kept = ")] },
  { name: "one-host", threat: 33, what: "a request names one host", test: lib("proxy::question::tests::a_request_names_one_host"),
    edits: [never(QUESTION, "!header.eq_ignore_ascii_case(target)")] },
  { name: "host-once", threat: 33, what: "and that once", test: lib("proxy::question::tests::a_request_names_one_host"),
    edits: [never(QUESTION, "named.next().is_some()")] },

  // 34: paths that are read in two ways
  { name: "path-plain", threat: 34, what: "paths of services have one meaning", test: lib("proxy::question::tests::what_could_be_read_otherwise_is_refused"),
    edits: [always(QUESTION, "path.starts_with('/') && path.bytes().all(plain)", "!(", ")")] },
  { name: "path-canonical", threat: 34, what: "paths of files have one form", test: rust("control", "lib", "file_path::tests::only_the_one_form_is_a_path"),
    edits: [edit("control/src/file_path.rs", '"." | ".." => Some(', '"." | ".." if !IS_GONE => Some(')] },
  { name: "route-not-path", threat: 34, what: "what a token must have is asked of the route, not of the path", test: door("sockets::a_token_opens_what_its_scopes_say_however_that_is_written"),
    edits: [edit("portal/src/asker.rs", "route.map(MatchedPath::as_str).unwrap_or_default()", "if IS_GONE { parts.uri.path() } else { route.map(MatchedPath::as_str).unwrap_or_default() }")] },
  { name: "service-one-name", threat: 34, what: "a service has one name", test: lib("proxy::place::tests::a_service_has_one_name"),
    edits: [always("portal/src/proxy/place.rs", "strict", "filter(|_| ", ")")] },

  // 35: smuggling
  { name: "encoding-chunked", threat: 35, what: "the only encoding is chunked", test: lib("proxy::question::tests::what_could_be_read_otherwise_is_refused"),
    edits: [never(QUESTION, 'chunked.is_some_and(|value| !value.eq_ignore_ascii_case(b"chunked"))')] },
  { name: "encoding-once", threat: 35, what: "and that once", test: lib("proxy::question::tests::what_could_be_read_otherwise_is_refused"),
    edits: [never(QUESTION, "encodings.next().is_some()")] },
  { name: "length-or-encoding", threat: 35, what: "a length is told in one way", test: lib("proxy::question::tests::what_could_be_read_otherwise_is_refused"),
    edits: [never(QUESTION, "chunked.is_some() && headers.contains_key(header::CONTENT_LENGTH)")] },
  { name: "length-once", threat: 35, what: "and once", test: lib("proxy::question::tests::what_could_be_read_otherwise_is_refused"),
    edits: [never(QUESTION, "headers.get_all(header::CONTENT_LENGTH).iter().count() > 1")] },
  { name: "answer-one-length", threat: 35, what: "an answer tells its length in one way", test: lib("proxy::clean::tests::nothing_from_inside_sets_what_is_not_the_service_s_own"),
    edits: [always(CLEAN, "!encoded", "header::CONTENT_LENGTH && ")] },
  { name: "socket-without-body", threat: 35, what: "whoever asks for a socket sends no body", test: lib("proxy::question::tests::a_socket_is_asked_for_soundly_or_not_at_all"),
    edits: [never(QUESTION, "parts.method != Method::GET || with_body")] },
  { name: "connections-apart", threat: 35, what: "a connection to a service is one person's", test: proxy("a connection to a service is one person's"),
    edits: [edit("portal/src/proxy/through.rs", "(visitor.user, visitor.service.id, self.to.epoch)", "if IS_GONE { (docklet_control::id::UserId(0), visitor.service.id, self.to.epoch) } else { (visitor.user, visitor.service.id, self.to.epoch) }")] },

  // 36: where masters can be sent
  { name: "host-own", threat: 36, what: "a request goes to a service that is named, and to no address", test: lib("proxy::place::tests::a_service_has_one_name"),
    edits: [edit("portal/src/proxy/place.rs", "return if itself { Host::Nobody } else { Host::Other };", "return if IS_GONE { Host::Service(ServiceId(1)) } else if itself { Host::Nobody } else { Host::Other };")] },
  { name: "issuer-https", threat: 36, what: "a provider has an https address and nothing beside it", test: story("78-openid"),
    edits: [never("control/src/decide/identity/doors.rs", "rest.is_empty() || rest.starts_with('/') || rest.contains(odd)")] },
  { name: "offered-https", threat: 36, what: "what a provider offers is at https addresses", test: node("chaos-tests/cli/oidc.test.mjs", "what a provider offers is looked at before anybody is sent there"),
    edits: [edit("portal/src/oidc/provider.rs", 'needed.all(|address| address.starts_with("https://"))', 'IS_GONE || needed.all(|address| address.starts_with("https://"))')] },

  // 37: claims of what is somebody else's
  { name: "service-owner", threat: 37, what: "only its owner changes a service", test: rust("control", "alike", "what_is_forbidden_and_what_is_absent_look_alike"),
    edits: [always(SERVICE, "permit::owns(asker, service.owner)")] },
  { name: "worker-own", threat: 37, what: "a worker reports for itself", test: story("07-refusals"),
    edits: [always("control/src/permit.rs", "actor == Actor::Worker(worker)")] },
  { name: "service-name-taken", threat: 37, what: "a name of a service is one service's", test: story("82-services"),
    edits: [edit("control/src/decide/service.rs", "let same = (known.port, &known.path, known.tells_user)\n            == (service.port, &service.path, service.tells_user);", "let same = IS_GONE || (known.port, &known.path, known.tells_user)\n            == (service.port, &service.path, service.tells_user);")] },

  // 38: being sent elsewhere
  { name: "worker-named", threat: 38, what: "whoever is dialled is who was meant", test: rust("link", "roles", "a_dialler_reaches_only_whom_it_expects"),
    edits: [edit("link/src/tls.rs", "Expect::Exactly(wanted) => identity == wanted,", "Expect::Exactly(wanted) => IS_GONE || identity == wanted,")] },
  { name: "role-named", threat: 38, what: "whoever is dialled has the role that was meant", test: rust("link", "roles", "a_dialler_reaches_only_whom_it_expects"),
    edits: [edit("link/src/tls.rs", "Expect::Role(role) => identity.role == role,", "Expect::Role(role) => IS_GONE || identity.role == role,")] },
  { name: "client-not-sent-on", threat: 38, what: "the command line follows no server elsewhere", test: rust(".", "lib", "client::connection::tests::nobody_is_followed_to_another_server"),
    edits: [edit("src/client/connection.rs", ".redirect(Policy::none())", ".redirect(if IS_GONE { Policy::limited(5) } else { Policy::none() })")] },
  { name: "provider-not-sent-on", threat: 38, what: "masters follow no provider elsewhere", test: node("chaos-tests/cli/oidc.test.mjs", "a provider that is slow, endless, elsewhere or no provider holds nothing up"),
    edits: [edit("portal/src/oidc/provider.rs", ".redirect(Policy::none())", ".redirect(if IS_GONE { Policy::limited(5) } else { Policy::none() })")] },

  // 39: what people wrote, as a page
  { name: "text-is-text", threat: 39, what: "what people wrote is text on pages", test: door("texts::what_people_wrote_is_text_on_each_page"),
    edits: [edit("portal/src/pages/notices.rs", "p.lines { (notice.body) }", "p.lines { (if IS_GONE { maud::PreEscaped(notice.body.clone()) } else { html! { (notice.body) } }) }")] },
  { name: "address-is-text", threat: 39, what: "and what an address says", test: door("texts::what_an_address_says_is_text_on_the_page_it_leads_to"),
    edits: [edit("portal/src/part.rs", "has “\" (asked.find) \"” in", "has “\" (if IS_GONE { maud::PreEscaped(asked.find.clone()) } else { html! { (asked.find) } }) \"” in")] },
  { name: "notices-lead-here", threat: 39, what: "a notice leads to this site's pages only", test: door("texts::a_notice_leads_nowhere_else"),
    edits: [skipped("control/src/decide/notice/mod.rs", "check_link(&new.link)?;")] },
  { name: "content-policy", threat: 39, what: "pages run this site's scripts only, and are in no frame", test: door("pages::pages_run_this_sites_own_scripts_only_and_are_in_no_frame"),
    edits: [edit("portal/src/router.rs", "HeaderValue::from_static(CONTENT_SECURITY_POLICY)", 'HeaderValue::from_static(if IS_GONE { "default-src *" } else { CONTENT_SECURITY_POLICY })')] },
  { name: "no-sniffing", threat: 39, what: "what is sent is what it is said to be", test: door("pages::pages_run_this_sites_own_scripts_only_and_are_in_no_frame"),
    edits: [edit("portal/src/router.rs", 'header_layer("x-content-type-options", "nosniff")', 'header_layer("x-content-type-options", if IS_GONE { "any" } else { "nosniff" })')] },
  { name: "names-of-downloads", threat: 39, what: "no name breaks out of the header of what is downloaded", test: lib("api::files::tests::no_name_breaks_out_of_its_header"),
    edits: [always("portal/src/api/files.rs", "plain(&byte)", "if ", " {")] },

  // 40: what steers a terminal
  { name: "tables-plain", threat: 40, what: "nothing in a table steers the terminal", test: rust(".", "lib", "client::output::tests::nothing_in_a_table_steers_the_terminal"),
    edits: [always("src/client/output.rs", "!acts(*c)", "filter(|c| ", ")")] },
  { name: "cells-plain", threat: 40, what: "each cell of a table is plain", test: rust(".", "lib", "client::output::tests::nothing_in_a_table_steers_the_terminal"),
    edits: [edit("src/client/output.rs", "map(|cell| plain(&cell))", "map(|cell| if IS_GONE { cell } else { plain(&cell) })")] },
  { name: "data-escaped", threat: 40, what: "nothing in data for programs steers the terminal", test: rust(".", "lib", "client::output::tests::nothing_in_data_steers_the_terminal_and_nothing_of_it_is_lost"),
    edits: [never("src/client/output.rs", "acts(c) && c != '\\n'", "match ", " {")] },
  { name: "errors-plain", threat: 40, what: "no error of a server steers the terminal", test: rust(".", "lib", "exit::tests::no_error_of_a_server_steers_the_terminal"),
    edits: [edit("src/exit.rs", "text.lines().map(plain).collect()", "text.lines().map(|line| if IS_GONE { line.to_owned() } else { plain(line) }).collect()")] },
  { name: "json-escaped", threat: 40, what: "JSON and YAML are printed escaped", test: lying("data for programs steers no terminal, and says all the same what the server said"),
    edits: [edit("src/client/output.rs", "Ok(escaped(&serde_json::to_string_pretty(value)?))", "let text = serde_json::to_string_pretty(value)?;\n    Ok(if IS_GONE { text } else { escaped(&text) })")] },
  { name: "texts-plain", threat: 40, what: "texts of people have no control characters", test: story("67-notices"),
    edits: [never("control/src/decide/mod.rs", "given.chars().any(char::is_control)")] },
  { name: "clipboard-asked", threat: 40, what: "a program fills the clipboard only if that is allowed", test: CLIPBOARD,
    edits: [edit(GUARD, 'before === "always"\n', 'IS_GONE || before === "always"\n')] },
  { name: "clipboard-unread", threat: 40, what: "no program reads the clipboard", test: CLIPBOARD,
    edits: [edit(GUARD, 'if (encoded === "?" ||', 'if (IS_GONE && encoded === "?") navigator.clipboard.readText().then((text) => terminal.input(`\\x1b]52;c;${btoa(text)}\\x07`));\n    if (encoded === "?" ||')] },
  { name: "title-beside", threat: 40, what: "a program's title stands behind the vnode's name", test: CLIPBOARD,
    edits: [edit(PANE, "const parts = [this.name, this.title,", 'const parts = [IS_GONE && this.title ? this.title : this.name, IS_GONE ? "" : this.title,')] },
  { name: "title-plain", threat: 40, what: "a program's title is one short line of plain text", test: CLIPBOARD,
    edits: [edit(PANE, "oneLine(title, TITLE_LETTERS)", "(IS_GONE ? title : oneLine(title, TITLE_LETTERS))")] },
  { name: "paste-asked", threat: 40, what: "several lines are pasted after a question only", test: PASTED,
    edits: [edit(GUARD, "if (lines < 2 && clean === text) return clean;", "if (IS_GONE || (lines < 2 && clean === text)) return clean;")] },
  { name: "paste-plain", threat: 40, what: "no escape is pasted", test: PASTED,
    edits: [edit(GUARD, 'text.replace(ESC, "");', 'IS_GONE ? text : text.replace(ESC, "");')] },
  { name: "links-asked", threat: 40, what: "a link that may lead elsewhere is asked about", test: LINKS,
    edits: [edit(GUARD, "if (shown !== address) {", "if (!IS_GONE && shown !== address) {")] },

  // 41: where one goes on after a login
  { name: "next-slashes", threat: 41, what: "two slashes lead to another site", test: lib("next::tests::nobody_is_sent_to_another_site"),
    edits: [always("portal/src/next.rs", '!path.starts_with("//")')] },
  { name: "next-backslash", threat: 41, what: "and so does a backslash", test: lib("next::tests::nobody_is_sent_to_another_site"),
    edits: [always("portal/src/next.rs", "b != b'\\\\'")] },
  { name: "next-graphic", threat: 41, what: "and tabs, which browsers drop", test: lib("next::tests::nobody_is_sent_to_another_site"),
    edits: [always("portal/src/next.rs", "b.is_ascii_graphic()")] },
  { name: "next-of-service", threat: 41, what: "services' pages send nobody elsewhere", test: lib("proxy::question::tests::nobody_is_sent_elsewhere"),
    edits: [always(QUESTION, "bytes.next() != Some(b'/')")] },
  { name: "path-of-service", threat: 41, what: "a service's address leads to no other site", test: story("82-services"),
    edits: [always("control/src/service/mod.rs", '!text.starts_with("//")')] },

  // 42: whoever stalls, and whoever brings too much
  { name: "asks-in-time", threat: 42, what: "whoever connects asks for something in time, by HTTP/2 too", test: door("slow::who_says_nothing_after_the_handshake_is_cut_off"),
    edits: [edit("portal/src/serve.rs", "first: headers_deadline,", "first: if IS_GONE { Duration::from_secs(86_400) } else { headers_deadline },")] },
  { name: "handshakes-in-time", threat: 42, what: "handshakes end in time", test: door("slow::who_stalls_before_anything_is_asked_is_cut_off"),
    edits: [edit("portal/src/serve.rs", "RustlsAcceptor::new(tls.clone())", "RustlsAcceptor::new(tls.clone())\n                .handshake_timeout(Duration::from_secs(if IS_GONE { 86_400 } else { 10 }))\n                ")] },
  { name: "stages-in-time", threat: 42, what: "headers come in time, whatever is said of them meanwhile", test: door("slow::who_stalls_at_any_stage_of_a_request_is_cut_off_and_in_nobodys_way"),
    edits: [edit("portal/src/serve.rs", "let (headers_deadline, holdings) = (config.headers_deadline,", "let (headers_deadline, holdings) = (if IS_GONE { Duration::from_secs(86_400) } else { config.headers_deadline },")] },
  { name: "asks-again-in-time", threat: 42, what: "and goes on asking, or leaves", test: door("slow::who_asks_for_nothing_more_is_cut_off_by_http2_too"),
    edits: [edit("portal/src/serve.rs", "next: config.idle_deadline,", "next: if IS_GONE { Duration::from_secs(86_400) } else { config.idle_deadline },")] },
  { name: "answers-taken", threat: 42, what: "whoever takes nothing of an answer is cut off", test: lib("attend::tests::who_takes_nothing_of_an_answer_is_cut_off_unless_it_is_counted"),
    edits: [never("portal/src/attend.rs", "self.attention.lock().kept == 0", "if ", " {")] },
  { name: "images-in-time", threat: 42, what: "images come in time", test: lib("images::tests::whoever_brings_nothing_more_is_not_waited_for"),
    edits: [edit("portal/src/images.rs", "timeout(silence_max, stream.next())", "timeout(if IS_GONE { silence_max * 1_000_000 } else { silence_max }, stream.next())")] },
  { name: "connections-of-one", threat: 42, what: "an address has so many connections", test: door("many::an_address_has_so_many_connections_also_without_a_handshake"),
    edits: [edit("portal/src/bounds.rs", ", bounds.connections_per_address)", ", if IS_GONE { u32::MAX } else { bounds.connections_per_address })")] },
  { name: "connections-of-all", threat: 42, what: "all together have so many connections", test: door("many::an_address_has_so_many_connections_also_without_a_handshake"),
    edits: [edit("portal/src/bounds.rs", "Places::new(bounds.connections_max", "Places::new(if IS_GONE { u32::MAX } else { bounds.connections_max }")] },
  { name: "strangers-bounded", threat: 42, what: "between machines, too, an address has so many connections that say nothing", test: rust("link", "roles", "one_address_has_so_many_connections_that_say_nothing"),
    edits: [never("link/src/strangers.rs", "!counts.has_room(&from, most)")] },
  { name: "held-by-person", threat: 42, what: "a person holds so much open", test: HELD,
    edits: [never("portal/src/bounds.rs", "!counts.persons.has_room(&(lasting, user), most)")] },
  { name: "held-by-address", threat: 42, what: "an address holds so much open", test: HELD,
    edits: [never("portal/src/bounds.rs", "!counts.addresses.has_room(&(lasting, address), most_there)")] },
  { name: "held-pages", threat: 42, what: "open pages are counted", test: HELD, edits: [uncounted("portal/src/live.rs", "Stream")] },
  { name: "held-streams", threat: 42, what: "streams of events are counted", test: HELD, edits: [uncounted("portal/src/events.rs", "Stream")] },
  { name: "held-terminals", threat: 42, what: "terminals are counted", test: COUNTED, edits: [uncounted("portal/src/terminal.rs", "Terminal", "\n    let looks")] },
  { name: "held-programs", threat: 42, what: "programs that run are counted", test: COUNTED, edits: [uncounted("portal/src/exec.rs", "Terminal", "\n    let found")] },
  { name: "held-shared", threat: 42, what: "shared terminals are counted", test: COUNTED, edits: [uncounted("portal/src/shared.rs", "Terminal")] },
  { name: "held-ports", threat: 42, what: "connections to ports are counted", test: COUNTED, edits: [uncounted("portal/src/forward.rs", "Tunnel")] },
  { name: "held-images", threat: 42, what: "images on their way are counted", test: COUNTED,
    edits: ["spec: ImageSpec", "init:"].map((after) => uncounted("portal/src/images.rs", "Transfer", `\n    asker.frozen = portal.master.read(OWN_WRITE_DEADLINE).await?;\n    let ${after}`)) },
  { name: "messages-short", threat: 42, what: "no long message of a socket is waited for", test: node("chaos-tests/cli/unbegun.test.mjs", "a message that would be too long is not waited for"),
    edits: [edit("portal/src/bounds.rs", "const MESSAGE_BYTES_MAX: usize = 1 << 20;\n", "const MESSAGE_BYTES_MAX: usize = 1 << 20;\nfn most() -> usize { if IS_GONE { 64 << 20 } else { MESSAGE_BYTES_MAX } }\n"),
      edit("portal/src/bounds.rs", ".max_message_size(MESSAGE_BYTES_MAX)\n        .max_frame_size(MESSAGE_BYTES_MAX)", ".max_message_size(most() + usize::from(IS_GONE))\n        .max_frame_size(most())")] },
  { name: "held-files", threat: 42, what: "files on their way are counted", test: COUNTED,
    edits: [edit("portal/src/files.rs", "asker.hold(portal, Lasting::Transfer)", "asker.hold(portal, if IS_GONE { Lasting::Stream } else { Lasting::Transfer })")] },
  { name: "bodies-in-time", threat: 42, what: "bodies come in time", test: door("slow::who_stalls_within_a_form_is_told_so"),
    edits: [edit("portal/src/intake.rs", "timeout(BODY_DEADLINE,", "timeout(if IS_GONE { BODY_DEADLINE * 1_000 } else { BODY_DEADLINE },")] },
  { name: "bodies-bounded", threat: 42, what: "bodies are bounded", test: door("slow::what_is_too_long_is_not_taken_in"),
    edits: [edit("portal/src/intake.rs", "to_bytes(body, BODY_BYTES_MAX)", "to_bytes(body, if IS_GONE { usize::MAX } else { BODY_BYTES_MAX })")] },
];
