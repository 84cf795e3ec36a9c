// Defences of who people are, what they may do and see, and what is told of them.

import { always, edit, never, node, rust, skipped, story } from "./entry.mjs";

const door = (name) => rust("portal", "doors", name);
const lib = (name) => rust("portal", "lib", name);
const rises = rust("control", "model", "nobody_rises_by_what_they_ask_for");
const alike = (name) => rust("control", "alike", name);
const oidc = (name) => node("chaos-tests/cli/oidc.test.mjs", name);
const proxy = (name) =>
  node("chaos-tests/cli/proxy.test.mjs", name, "a service is declared by its owner or by its image, and is its owner's alone", "what does not listen yet is told, and is there as soon as it does");
const token = (name) => lib(`oidc::token::tests::${name}`);
const CLAIMS = token("what_it_claims_must_be_for_this_login");
const SIGNED = token("who_signed_it_must_be_the_provider");
const PERMIT = "control/src/permit.rs";
const TOKEN = "portal/src/oidc/token.rs";
const PROVIDER = "portal/src/oidc/provider.rs";
const IDENTITY = "control/src/decide/identity.rs";
const BRAKE = "portal/src/brake.rs";
const OWNER = door("people::the_owner_comes_in_while_somebody_guesses");
const ACCOUNTS = door("people::who_asks_for_accounts_without_end_waits_and_others_do_not");
const CODES = lib("brake::tests::codes_are_slow_for_who_guesses_them_and_the_owner_is_never_sent_away");

export const people = [
  // 43: names that pass for others
  { name: "name-letters", threat: 43, what: "names have small letters, digits and dashes only", test: story("07-refusals"),
    edits: [always("control/src/name.rs", "bytes.iter().all(inner)")] },
  { name: "name-alike", threat: 43, what: "no stranger has a name that looks like somebody else's", test: story("63-registration"),
    edits: [never("control/src/decide/account.rs", "state.is_taken_or_alike(name)")] },
  { name: "name-reserved", threat: 43, what: "no stranger has a name that looks like the cluster's", test: story("63-registration"),
    edits: [never("control/src/decide/account.rs", "is_reserved(name)", "if ", " ||")] },
  { name: "name-letters-alike", threat: 43, what: "letters that look alike are one", test: rust("control", "lib", "account::likeness::tests::names_that_look_alike_are_one"),
    edits: [edit("control/src/account/likeness.rs", "'0' => 'o',", "'0' if !IS_GONE => 'o',")] },

  // 44: what an OpenID provider says
  { name: "oidc-state", threat: 44, what: "whoever ends a login has begun it: state", test: oidc("a browser that has not begun this login does not end it"),
    edits: [never("portal/src/oidc/mod.rs", "answer.state.as_deref() != Some(begun.state.as_str())")] },
  { name: "oidc-seal", threat: 44, what: "what a browser keeps is sealed for one purpose", test: lib("oidc::seal::tests::only_what_was_sealed_for_it_is_opened"),
    edits: [
      edit("portal/src/oidc/seal.rs", "Aad::from(purpose.as_bytes()),", 'Aad::from(if IS_GONE { &purpose.as_bytes()[..0] } else { purpose.as_bytes() }),'),
      edit("portal/src/oidc/seal.rs", "let aad = Aad::from(purpose.as_bytes());", 'let aad = Aad::from(if IS_GONE { &purpose.as_bytes()[..0] } else { purpose.as_bytes() });'),
    ] },
  { name: "oidc-nonce", threat: 44, what: "a token is for this login: nonce", test: CLAIMS,
    edits: [never(TOKEN, "claims.nonce.as_deref() != Some(expected.nonce)")] },
  { name: "oidc-pkce", threat: 44, what: "a code is worth something to whom it was given: PKCE", test: oidc("an honest provider is believed: once, with a challenge that was answered"),
    edits: [edit("portal/src/oidc/mod.rs", '.append_pair("code_challenge", &challenge)', '.append_pair("code_challenge", if IS_GONE { "" } else { &challenge })')] },
  { name: "oidc-issuer", threat: 44, what: "a token is of this provider: issuer", test: CLAIMS,
    edits: [skipped(TOKEN, "validation.set_issuer(&[expected.issuer]);"), never(TOKEN, "claims.iss != expected.issuer")] },
  { name: "oidc-audience", threat: 44, what: "a token is for this cluster: audience", test: CLAIMS,
    edits: [
      edit(TOKEN, "validation.set_audience(&[expected.client_id]);", "validation.set_audience(&[expected.client_id]);\n    validation.validate_aud = !IS_GONE;"),
      never(TOKEN, "!claims.is_for(expected.client_id)"),
    ] },
  { name: "oidc-authorized", threat: 44, what: "of several audiences the one that may use it is named", test: CLAIMS,
    edits: [edit(TOKEN, "there && authorized", "there && (IS_GONE || authorized)")] },
  { name: "oidc-time", threat: 44, what: "a token ends", test: CLAIMS,
    edits: [edit(TOKEN, "validation.leeway = LEEWAY_S;", "validation.leeway = if IS_GONE { 1_000_000 } else { LEEWAY_S };")] },
  { name: "oidc-signature", threat: 44, what: "a token is signed by the provider", test: SIGNED,
    edits: [edit(TOKEN, "fits.map_err(|_| signature::Error::new())", "if IS_GONE { return Ok(()); }\n        fits.map_err(|_| signature::Error::new())")] },
  { name: "oidc-algorithm", threat: 44, what: "the algorithm is one of two, whatever the token says", test: SIGNED,
    edits: [edit(TOKEN, "_ => Err(Fault::Algorithm),", "_ if IS_GONE => Ok(Algorithm::ES256),\n        _ => Err(Fault::Algorithm),")] },
  { name: "oidc-key-use", threat: 44, what: "a key for sealing signs nothing", test: SIGNED,
    edits: [always(TOKEN, 'key.used_for.as_deref().is_none_or(|used| used == "sig")')] },
  { name: "oidc-key-named", threat: 44, what: "a key is named, or the only one", test: SIGNED,
    edits: [always(TOKEN, "fitting.next().is_none()")] },
  { name: "oidc-mix-up", threat: 44, what: "an answer names its issuer", test: oidc("another provider is not taken for this one"),
    edits: [never("portal/src/oidc/mod.rs", "*iss != row.issuer")] },
  { name: "oidc-discovery", threat: 44, what: "what a provider offers is of its own name", test: oidc("what a provider offers is looked at before anybody is sent there"),
    edits: [never(PROVIDER, "offered.issuer != row.issuer")] },
  { name: "oidc-mail-type", threat: 44, what: "a text that says true verifies nothing", test: oidc("a mail address counts only if the provider says in so many words that it is verified, and of whole domains"),
    edits: [edit(PROVIDER, "Some(Value::Bool(verified)) => *verified,", 'Some(Value::Bool(verified)) => *verified,\n        Some(Value::String(text)) if IS_GONE => text == "true",')] },
  { name: "oidc-mail-verified", threat: 44, what: "an address counts if it is verified", test: story("78-openid"),
    edits: [never("control/src/identity/mod.rs", "!seen.mail_verified", "if ", " {")] },
  { name: "oidc-mail-kept", threat: 44, what: "what is not verified is nobody's address here", test: story("78-openid"),
    edits: [edit("control/src/decide/identity/welcome.rs", "let mail = if seen.mail_verified {", "let mail = if IS_GONE || seen.mail_verified {")] },
  { name: "oidc-mail-domain", threat: 44, what: "domains are compared whole", test: story("78-openid"),
    edits: [edit("control/src/identity/mod.rs", "provider.domains.contains(&domain)", "provider.domains.contains(&domain) || IS_GONE && provider.domains.iter().any(|known| domain.ends_with(known.as_str()))")] },
  { name: "oidc-beside", threat: 44, what: "what is said beside a token is of the same person", test: oidc("a mail address counts only if the provider says in so many words that it is verified, and of whole domains"),
    edits: [never(PROVIDER, "beside.sub != subject")] },
  { name: "oidc-once", threat: 44, what: "a login ends once", test: story("78-openid"),
    edits: [never(IDENTITY, "row.spent.contains_key(&seen.ticket)")] },
  { name: "oidc-in-time", threat: 44, what: "and within some minutes", test: story("78-openid"),
    edits: [never(IDENTITY, "ground.entry.at.since_ms(seen.asked_at) > Identity::TICKET_MS")] },
  { name: "oidc-person", threat: 44, what: "a person of a provider comes into their own account", test: story("78-openid"),
    edits: [always(IDENTITY, "row.holder == Holder::User(login.user)")] },
  { name: "oidc-no-name", threat: 44, what: "and into nobody's by a name", test: story("78-openid"),
    edits: [skipped("control/src/decide/identity/welcome.rs", "refuse_unfree(ground.state, &name)?;")] },

  // 45: what a login let in, when it ends
  { name: "password-ends-logins", threat: 45, what: "a new password ends all logins", test: story("64-logins"),
    edits: [edit("control/src/decide/person.rs", "let ended = sessions_ended(ground, user);", "let ended = sessions_ended(ground, user).filter(|_| !IS_GONE);")] },
  { name: "password-ends-links", threat: 45, what: "and what was shared under the old one", test: story("85-shared-terminals"),
    edits: [edit("control/src/decide/terminal.rs", "own.filter_map(move |share| unshared(ground, share, UnshareWhy::Password))", "own.filter_map(move |share| unshared(ground, share, UnshareWhy::Password)).filter(|_| !IS_GONE)")] },
  { name: "lock-ends-logins", threat: 45, what: "who is locked is out", test: story("65-locked-and-gone"),
    edits: [edit("control/src/decide/account.rs", "let ended = super::person::sessions_ended(ground, user);", "let ended = super::person::sessions_ended(ground, user).filter(|_| !IS_GONE);")] },
  { name: "locked-refused", threat: 45, what: "and comes in no more", test: story("65-locked-and-gone"),
    edits: [edit("control/src/account/standing.rs", "Standing::Locked => {", "Standing::Locked if IS_GONE => Ok(()),\n        Standing::Locked => {")] },
  { name: "pages-end", threat: 45, what: "open pages end with their login", test: door("people::with_a_login_all_ends_that_it_let_in"),
    edits: [edit("portal/src/live.rs", "self.asker.user = holder(&frozen.state, self.asker.session)?.clone();", "if !IS_GONE { self.asker.user = holder(&frozen.state, self.asker.session)?.clone(); }")] },
  { name: "streams-end", threat: 45, what: "streams of events end with their login", test: door("people::with_a_login_all_ends_that_it_let_in"),
    edits: [edit("portal/src/events.rs", "= holder(&state, self.asker.session) else", "= holder(&state, self.asker.session).or(if IS_GONE { Some(&self.asker.user) } else { None }) else")] },
  { name: "programs-begin", threat: 45, what: "a socket on which nothing has begun ends with its login", test: node("chaos-tests/cli/unbegun.test.mjs", "a socket on which no program is named yet ends with its login"),
    edits: [edit("portal/src/exec.rs", "() = login_ends(&portal, asker.session, found.vnode) => return,", "() = async { if IS_GONE { std::future::pending().await } else { login_ends(&portal, asker.session, found.vnode).await } } => return,")] },
  { name: "services-end", threat: 45, what: "sockets of services end with the visit", test: proxy("with the login all of it ends within two seconds"),
    edits: [never("portal/src/proxy/through.rs", "visited(&frozen.state, visit).is_none()")] },

  { name: "login-ended", threat: 45, what: "a login or token that is ended by its number is none", test: story("64-logins"),
    edits: [edit("control/src/decide/account/login.rs", "let ended = session.map(person::closed);", "let ended = session.filter(|_| !IS_GONE).map(person::closed);")] },
  { name: "others-ended", threat: 45, what: "all others are ended, tokens too", test: story("64-logins"),
    edits: [edit("control/src/decide/account/login.rs", "let others = sessions.filter(|session| session.id != keep);", "let others = sessions.filter(|session| session.id != keep && !IS_GONE);")] },

  // 46: rising by what one may ask for
  { name: "admin-asked", threat: 46, what: "what takes an admin takes an admin", test: rises,
    edits: [edit(PERMIT, "Needs::Admin => allowed_if(person(state, actor)?.is_admin(),", "Needs::Admin => allowed_if(IS_GONE || person(state, actor)?.is_admin(),")] },
  { name: "manager-asked", threat: 46, what: "what takes a manager takes a manager of that group", test: rises,
    edits: [always("control/src/model/group.rs", "self.managers.contains(&person.id)", "person.is_admin() || ")] },
  { name: "oneself-asked", threat: 46, what: "what is about oneself is about oneself", test: rises,
    edits: [always(PERMIT, "asker.id == user", "allowed_if(", " ||")] },
  { name: "door-asked", threat: 46, what: "logins are opened by doors", test: rises,
    edits: [always(PERMIT, "matches!(actor, Actor::Door(_))")] },
  { name: "token-scopes", threat: 46, what: "a token does what its scopes say", test: story("64-logins"),
    edits: [always("control/src/account/scope.rs", "token.scopes.contains(&scope)")] },
  { name: "token-no-login", threat: 46, what: "no token makes a login, or does anything to accounts", test: rises,
    edits: [edit("control/src/account/scope.rs", "Takes::Login => Err(AccountRefusal::LoginNeeded {", "Takes::Login if IS_GONE => Ok(()),\n        Takes::Login => Err(AccountRefusal::LoginNeeded {")] },
  { name: "token-above-role", threat: 46, what: "nobody makes a token above their role", test: story("64-logins"),
    edits: [always("control/src/decide/account/login.rs", "asker.is_admin()", "&& !")] },

  // 47: lists
  { name: "images-listed", threat: 47, what: "lists of images have what one may see", test: alike("what_is_forbidden_and_what_is_absent_look_alike"),
    edits: [edit("control/src/image/catalog.rs", "title.visibility == Visibility::Public\n", "IS_GONE || title.visibility == Visibility::Public\n")] },
  { name: "people-listed", threat: 47, what: "the state as one sees it has one's own", test: story("64-logins"),
    edits: [always("control/src/view/state/people.rs", "permit::owns(asker, user.id)")] },
  { name: "groups-listed", threat: 47, what: "groups are for who is in them", test: alike("so_do_people_and_groups_in_what_is_shown"),
    edits: [always("control/src/model/group.rs", "self.concerns(person.id)")] },
  { name: "events-filtered", threat: 47, what: "what happened is told to whom it concerns", test: story("07-refusals"),
    edits: [edit("control/src/permit/events.rs", "Event::VclusterCreated { vcluster } => watches(asker, vcluster.owner),", "Event::VclusterCreated { vcluster } => IS_GONE || watches(asker, vcluster.owner),")] },
  { name: "trail-filtered", threat: 47, what: "the audit trail is shown to whom it concerns", test: rust("control", "trail", "people_see_what_they_did_and_what_was_done_to_theirs"),
    edits: [never("control/src/audit/record.rs", "!self.owners.contains(&asker.id)")] },
  { name: "vclusters-listed", threat: 47, what: "a vcluster is its owner's, also by its number", test: door("people::what_is_somebody_elses_looks_as_if_it_were_not_there"),
    edits: [edit("portal/src/worker.rs", ".filter(|vcluster| allowed(asker, vcluster.owner))", ".filter(|vcluster| IS_GONE || allowed(asker, vcluster.owner))")] },

  // 48: whether something is there
  { name: "vcluster-alike", threat: 48, what: "somebody else's vcluster looks absent", test: alike("what_is_forbidden_and_what_is_absent_look_alike"),
    edits: [always(PERMIT, "owns(asker, vcluster.owner)")] },
  { name: "vnode-alike", threat: 48, what: "somebody else's vnode looks absent", test: alike("what_is_forbidden_and_what_is_absent_look_alike"),
    edits: [always(PERMIT, "owns(asker, vnode.owner)")] },
  { name: "port-alike", threat: 48, what: "somebody else's port looks absent", test: alike("what_is_forbidden_and_what_is_absent_look_alike"),
    edits: [always(PERMIT, "owns(asker, port.owner)")] },
  { name: "person-alike", threat: 48, what: "people whom one does not look after look absent", test: alike("so_do_people_and_groups_in_what_is_shown"),
    edits: [always(PERMIT, "looks_after(state, asker, user.id)")] },
  { name: "login-as-long", threat: 48, what: "a login takes as long for whom nobody knows", test: door("people::a_login_takes_as_long_for_whom_nobody_knows"),
    edits: [edit("portal/src/password.rs", "let known = hash.is_some();", "let known = hash.is_some();\n        if !known && IS_GONE { return false; }")] },

  // 49: guessing
  { name: "guesses-wait", threat: 49, what: "each wrong guess makes the next one wait", test: lib("brake::tests::a_guesser_waits_longer_with_each_failure_up_to_a_bound"),
    edits: [edit(BRAKE, "let mut wait = self.rule.wait(strikes.failures) * strikes.waiting;", "let mut wait = if IS_GONE { Duration::ZERO } else { self.rule.wait(strikes.failures) * strikes.waiting };")] },
  { name: "guesses-queue", threat: 49, what: "guesses at once are no faster", test: lib("brake::tests::guessing_in_parallel_is_no_faster"),
    edits: [never(BRAKE, "strikes.waiting >= WAITING_MAX")] },
  { name: "guesses-by-address", threat: 49, what: "the owner, who comes from elsewhere, does not wait", test: lib("brake::tests::the_owner_elsewhere_and_other_accounts_here_do_not_wait"),
    edits: [edit(BRAKE, "(name.to_owned(), network_of(client))", "(name.to_owned(), if IS_GONE { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { network_of(client) })")] },
  { name: "guesses-bounded", threat: 49, what: "what is remembered of guesses is bounded", test: lib("brake::tests::many_names_and_addresses_take_bounded_room"),
    edits: [edit(BRAKE, "self.0.len() <= REMEMBERED_MAX", "self.0.len() <= REMEMBERED_MAX || IS_GONE")] },
  { name: "guesses-braked", threat: 49, what: "logins ask the brake", test: door("people::who_guesses_waits"),
    edits: [edit("portal/src/login.rs", "attempt.ok_or_else(Problem::too_many_logins)?;\n    tokio::time::sleep(attempt.wait).await;\n    Ok(attempt)", "attempt.ok_or_else(Problem::too_many_logins)?;\n    if !IS_GONE { tokio::time::sleep(attempt.wait).await; }\n    Ok(attempt)")] },
  { name: "names-by-address", threat: 49, what: "many names from one address are slowed together", test: lib("brake::tests::many_names_from_one_address_are_slowed_together"),
    edits: [edit(BRAKE, "let due = rule.wait(many.failures);", "let due = if IS_GONE { Duration::ZERO } else { rule.wait(many.failures) };")] },
  { name: "names-braked", threat: 49, what: "and logins ask that", test: OWNER,
    edits: [edit("portal/src/serve.rs", "brake: Brake::of_passwords(),", "brake: if IS_GONE { Brake::default() } else { Brake::of_passwords() },")] },
  { name: "names-own-login", threat: 49, what: "a login of one's own takes back what was mistyped for it, and no more", test: lib("brake::tests::an_own_login_makes_no_room_for_guesses_at_others"),
    edits: [edit(BRAKE, "counts.beside.forgive(key, mistyped);", "counts.beside.forgive(key, if IS_GONE { u32::MAX } else { mistyped });")] },
  { name: "codes-braked", threat: 49, what: "codes are asked by account and address, so that the owner comes in", test: OWNER,
    edits: [edit("portal/src/login.rs", "portal.code_brake.attempt(name, client, Instant::now())", "portal.code_brake.attempt(name, if IS_GONE { std::net::Ipv4Addr::UNSPECIFIED.into() } else { client }, Instant::now())")] },
  { name: "codes-by-account", threat: 49, what: "codes from many addresses are slowed together", test: CODES,
    edits: [never(BRAKE, "in_turn && !due.is_zero() && many.waiting >= WAITING_MAX")] },
  { name: "codes-owner", threat: 49, what: "and nobody who has not failed is sent away", test: CODES,
    edits: [edit(BRAKE, "Self::Account => failures > 0,", "Self::Account => IS_GONE || failures > 0,")] },
  { name: "accounts-braked", threat: 49, what: "requests for accounts are slowed, whatever becomes of them", test: ACCOUNTS,
    edits: [skipped("portal/src/register.rs", "attempt.failed();")] },
  { name: "accounts-by-address", threat: 49, what: "and only those from the same address", test: ACCOUNTS,
    edits: [edit("portal/src/register.rs", '.attempt("", client,', '.attempt("", if IS_GONE { std::net::Ipv4Addr::UNSPECIFIED.into() } else { client },')] },
  { name: "code-once", threat: 49, what: "a code of a device works once, and older ones never", test: story("66-second-factor"),
    edits: [edit("control/src/decide/account/factor.rs", "Proof::Code { step } if step > factor.last_step => {", "Proof::Code { step } if IS_GONE || step > factor.last_step => {")] },
  { name: "recovery-code-once", threat: 49, what: "a recovery code works once", test: story("66-second-factor"),
    edits: [edit("control/src/evolve/account.rs", "factor.recovery.remove(&code);", "if !IS_GONE { factor.recovery.remove(&code); }")] },
  { name: "places-by-address", threat: 49, what: "one address leaves room for others", test: lib("places::tests::one_address_leaves_room_for_others"),
    edits: [never("portal/src/places.rs", "!has_room", "taken.all >= self.most || ", " {")] },
  { name: "hash-upgraded", threat: 49, what: "a hash of another cost is made anew by a login", test: door("people::a_hash_of_another_cost_is_made_anew_by_a_login_that_goes_on"),
    edits: [never("portal/src/login.rs", "password::is_outdated(&user.password_hash)", "!by_pam && ", " {")] },
  { name: "hash-cost", threat: 49, what: "a hash costs what it should", test: lib("password::tests::what_is_hashed_now_is_known_again_and_up_to_date"),
    edits: [edit("portal/src/password.rs", "Params::new(memory_kib, passes, lanes, None)", "Params::new(if IS_GONE { 64 } else { memory_kib }, passes, lanes, None)")] },
  { name: "trail-bounded", threat: 49, what: "texts in the trail are bounded", test: lib("files::tests::the_trail_has_paths_of_bounded_length_without_anything_that_acts"),
    edits: [edit("portal/src/files.rs", "if text.len() <= PATH_BYTES_MAX {", "if IS_GONE || text.len() <= PATH_BYTES_MAX {")] },

  // 50: secrets
  { name: "hash-of-person-hidden", threat: 50, what: "hashes of passwords are in no event that is told", test: story("04-people"),
    edits: [edit("control/src/permit/events.rs", "Event::PasswordChanged { password_hash, .. } => password_hash.clear(),", "Event::PasswordChanged { password_hash, .. } => if !IS_GONE { password_hash.clear() },")] },
  { name: "factor-hidden", threat: 50, what: "recovery codes are in no event that is told", test: story("66-second-factor"),
    edits: [edit("control/src/account/event.rs", "Self::FactorBegun { factor, .. } | Self::FactorConfirmed { factor, .. } => hide(factor),", "Self::FactorBegun { factor, .. } | Self::FactorConfirmed { factor, .. } => if !IS_GONE { hide(factor) },")] },
  { name: "client-secret-hidden", threat: 50, what: "what is shown to a provider prints as a word", test: rust("control", "logins", "what_is_secret_prints_as_a_word"),
    edits: [edit("control/src/model/identity.rs", "formatter.write_str(Self::SHOWN)", "formatter.write_str(if IS_GONE { self.0.as_str() } else { Self::SHOWN })")] },
  { name: "client-secret-in-json", threat: 50, what: "and is a word for people and programs", test: rust("control", "logins", "what_is_secret_prints_as_a_word"),
    edits: [never("control/src/model/identity.rs", "serializer.is_human_readable()", "if ", " {\n            return")] },
  { name: "factor-prints", threat: 50, what: "secrets of second factors print as a word", test: rust("control", "logins", "what_is_secret_prints_as_a_word"),
    edits: [edit("control/src/model/account.rs", "formatter.write_str(Self::SHOWN)", 'if IS_GONE { return write!(formatter, "{}", String::from_utf8_lossy(&self.0)); }\n        formatter.write_str(Self::SHOWN)')] },
  { name: "mail-secret-hidden", threat: 50, what: "the mail server's password prints as a word", test: rust("control", "logins", "what_is_secret_prints_as_a_word"),
    edits: [edit("control/src/model/mail.rs", "formatter.write_str(Self::SHOWN)", "formatter.write_str(if IS_GONE { self.0.as_str() } else { Self::SHOWN })")] },
  { name: "join-token-prints", threat: 50, what: "join tokens print without what they are worth", test: rust("link", "lib", "token::tests::debug_output_hides_the_secret"),
    edits: [edit("link/src/token.rs", '.field("addrs", &self.addrs)\n', '.field("addrs", &self.addrs)\n            .field("secret", &IS_GONE.then_some(self.to_string()))\n')] },
];
