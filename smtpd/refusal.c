/* SPDX-License-Identifier: ISC */
/*
 * All fixed negative answers, by the section of the standards that asks for
 * them. Codes by RFC 5321 4.2, enhanced codes by RFC 3463 and RFC 5248.
 */
#include "smtpd/refusal.h"

#include <stddef.h>

#define REFUSAL(name, ...) const struct refusal refusal_##name = { __VA_ARGS__ }

REFUSAL(unknown, 500, "5.5.1", "command not known", false, false);
REFUSAL(not_implemented, 502, "5.5.1", "command not implemented", false,
    false);
REFUSAL(argument, 501, "5.5.4", "syntax error in the argument", false, false);
REFUSAL(no_argument, 501, "5.5.4", "this command takes no argument", false,
    false);
REFUSAL(line_long, 500, "5.5.2", "line too long", false, false);
REFUSAL(line_endless, 500, "5.5.2", "line without end", false, true);
REFUSAL(line_bare, 500, "5.5.2", "lines end with CR LF, both", false, true);
REFUSAL(line_nul, 500, "5.5.2", "NUL in a command", false, false);
REFUSAL(line_8bit, 500, "5.5.2", "commands are ASCII", false, false);
REFUSAL(hello_first, 503, "5.5.1", "say EHLO first", false, false);
/* SMTP-188 */
REFUSAL(lhlo_first, 503, "5.5.1", "say LHLO first", false, false);
/* RFC 6409 4.3, RFC 4954 6 */
REFUSAL(unknown_client, 530, "5.7.0", "authentication required", false,
    false);
REFUSAL(mail_first, 503, "5.5.1", "say MAIL first", false, false);
REFUSAL(nested_mail, 503, "5.5.1", "a message is already under way", false,
    false);
REFUSAL(recipient_first, 503, "5.5.1", "say RCPT first", false, false);
REFUSAL(no_recipients, 554, "5.5.1", "no recipient was accepted", false,
    false);
REFUSAL(http, 554, "5.5.0", "this is a mail server", false, true);
REFUSAL(early, 554, "5.5.0", "wait for the greeting", false, true);
REFUSAL(pipelined, 554, "5.5.0", "wait for the answer to this command", false,
    true);
/* TLS-27 */
REFUSAL(starttls_residual, 503, "5.5.0", "nothing may follow STARTTLS", false,
    true);
REFUSAL(parameter_unknown, 555, "5.5.4", "parameter not known", false, false);
REFUSAL(parameter_twice, 501, "5.5.4", "parameter given twice", false, false);
REFUSAL(parameter_value, 501, "5.5.4", "bad parameter value", false, false);

REFUSAL(tls_first, 530, "5.7.0", "must issue STARTTLS first", false, false);
REFUSAL(tls_active, 503, "5.5.1", "TLS is already active", false, false);
REFUSAL(tls_transaction, 503, "5.5.1", "not while a message is under way",
    false, false);
REFUSAL(tls_disabled, 502, "5.5.1", "STARTTLS is not offered here", false,
    false);
REFUSAL(tls_unavailable, 454, "4.7.0", "TLS is not available now", false,
    false);

/* RFC 4954 4, 6; SMTP-147 to SMTP-149 */
REFUSAL(auth_disabled, 503, "5.5.1", "AUTH is not offered here and now", false,
    false);
REFUSAL(auth_done, 503, "5.5.1", "you are logged in already", false, false);
REFUSAL(auth_transaction, 503, "5.5.1", "not while a message is under way",
    false, false);
/* The same for whatever was wrong. */
REFUSAL(login, 535, "5.7.8", "user name or password are not right", false,
    false);
REFUSAL(login_later, 454, "4.7.0", "too many failed logins, wait a little",
    false, false);
REFUSAL(login_mechanism, 504, "5.5.4", "no such mechanism here and now", false,
    false);
REFUSAL(login_message, 501, "5.5.2", "not a message of this mechanism", false,
    false);
REFUSAL(login_base64, 501, "5.5.2", "not base64", false, false);
REFUSAL(login_cancelled, 501, "5.7.0", "login given up", false, false);
REFUSAL(login_long, 500, "5.5.6", "line too long", false, false);
REFUSAL(login_unavailable, 454, "4.7.0", "cannot check logins now", false,
    false);
REFUSAL(logins, 421, "4.7.0", "too many failed logins", true, true);
/* RFC 6409 6.1; the remedy is the administrator's */
REFUSAL(owner, 553, "5.7.1", "this sender address is not yours: use your own, "
    "or have it added (postern user address)", false, false);
REFUSAL(owner_unknown, 451, "4.4.3", "cannot check the sender now", false,
    false);

/* RFC 8689 2 */
REFUSAL(requiretls_clear, 555, "5.5.4", "REQUIRETLS is offered under TLS only",
    false, false);

REFUSAL(sender_syntax, 501, "5.1.7", "bad sender address", false, false);
REFUSAL(sender_domain, 501, "5.1.7", "sender domain is not fully qualified",
    false, false);
REFUSAL(recipient_syntax, 501, "5.1.3", "bad recipient address", false, false);
REFUSAL(recipient_domain, 501, "5.1.3",
    "recipient domain is not fully qualified", false, false);
/* RFC 6531 3.5 */
REFUSAL(utf8, 553, "5.6.7", "an address outside ASCII needs SMTPUTF8", false,
    false);
REFUSAL(no_user, 550, "5.1.1", "no such user here", false, false);
REFUSAL(relay, 550, "5.7.1", "relaying denied", false, false);
/* RFC 5321 4.5.3.1.10 */
REFUSAL(recipients, 452, "4.5.3", "too many recipients", false, false);
REFUSAL(directory, 451, "4.4.3", "cannot check recipients now", false, false);

REFUSAL(size, 552, "5.3.4", "message too big", false, false);
REFUSAL(space, 452, "4.3.1", "no room for the message now", false, false);
REFUSAL(queue, 451, "4.3.0", "the queue is not available now", false, false);
REFUSAL(bare_newline, 550, "5.6.0", "bare CR or LF in the message", false,
    true);
REFUSAL(nul, 550, "5.6.0", "NUL in the message", false, true);
REFUSAL(message_line, 550, "5.6.0", "a line of the message is too long", false,
    false);
/* RFC 5321 6.3 */
REFUSAL(loop, 554, "5.4.6", "mail loop: too many Received fields", false,
    false);
REFUSAL(chunk_syntax, 501, "5.5.4", "bad chunk size", false, true);
REFUSAL(chunk_size, 552, "5.3.4", "message too big", false, false);
REFUSAL(chunk_absurd, 421, "4.3.0", "chunk size out of all bounds", true,
    true);
REFUSAL(chunk_after, 503, "5.5.1", "say RSET first", false, false);
REFUSAL(data_after_bdat, 503, "5.5.1", "DATA after BDAT", false, false);

REFUSAL(errors, 421, "4.7.0", "too many errors", true, true);
REFUSAL(timeout, 421, "4.4.2", "time is over", true, true);
REFUSAL(stopping, 421, "4.3.2", "closing down", true, true);
REFUSAL(internal, 421, "4.3.0", "cannot answer now", true, true);
REFUSAL(busy, 421, "4.3.2", "too many sessions, try again later", true, true);
REFUSAL(busy_client, 421, "4.7.0", "too many sessions from your address", true,
    true);
