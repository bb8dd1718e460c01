/* SPDX-License-Identifier: ISC */
/*
 * The table of options and sections: see options.h. The order of the rows is
 * the order of the sample and of the manual. Nothing here allocates.
 */
#include "conf/options.h"

#include <string.h>

#include "config.h"
#include "conf/conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { KIBIBYTE = 1 << 10, MEBIBYTE = 1 << 20, GIBIBYTE = 1 << 30,
    MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Where the member is: section, offset and name in one. */
#define TOP(m) .section = SECTION_TOP, .member = #m, \
	.offset = offsetof(struct conf, m)
#define CERTIFICATE(m) .section = SECTION_CERTIFICATE, .member = #m, \
	.offset = offsetof(struct conf_certificate, m)
#define LISTEN(m) .section = SECTION_LISTEN, .member = #m, \
	.offset = offsetof(struct conf_listener, m)
#define MILTER(m) .section = SECTION_MILTER, .member = #m, \
	.offset = offsetof(struct conf_milter, m)
#define DOMAIN(m) .section = SECTION_DOMAIN, .member = #m, \
	.offset = offsetof(struct conf_domain, m)
#define ROUTE(m) .section = SECTION_ROUTE, .member = #m, \
	.offset = offsetof(struct conf_route, m)
#define DESTINATION(m) .section = SECTION_DESTINATION, .member = #m, \
	.offset = offsetof(struct conf_destination, m)

/* Same order as the enums in conf.h. */
static const char *const level_choices[] = { "auto", "none", "may", "encrypt",
    "dane", "dane-only", "sts", "strict", "verify", "secure", "fingerprint",
    NULL };
static const char *const insecure_mx_choices[] = { "may", "encrypt", "dane",
    NULL };
static const char *const sts_with_dane_choices[] = { "dane", "both", NULL };
static const char *const memory_choices[] = { "observe", "warn", "defer",
    NULL };
static const char *const tls_optional_choices[] = { "everybody", "relay",
    "nobody", NULL };
static const char *const requiretls_dane_choices[] = { "match", "name-too",
    NULL };
static const char *const requiretls_bounce_choices[] = { "send", "drop",
    NULL };
static const char *const route_tls_choices[] = { "starttls", "implicit",
    NULL };
static const char *const listener_tls_choices[] = { "offer", "require",
    "implicit", "none", NULL };
static const char *const service_choices[] = { "smtp", "submission", "lmtp",
    "mta-sts", NULL };
static const char *const relay_choices[] = { "any", "authenticated", "nobody",
    NULL };
static const char *const sts_choices[] = { "none", "testing", "enforce",
    "withdraw", NULL };
static const char *const family_choices[] = { "any", "ipv4", "ipv6", NULL };
static const char *const transport_choices[] = { "smtp", "discard", "maildir",
    "lmtp", NULL };
static const char *const resolver_choices[] = { "recursive", "forward",
    "resolv.conf", NULL };
static const char *const mode_choices[] = { "off", "warn", "on", NULL };
static const char *const verify_choices[] = { "off", "observe", "enforce",
    NULL };
static const char *const domain_verify_choices[] = { "off", "observe",
    "enforce", "by-top", NULL };
static const char *const failure_choices[] = { "tempfail", "accept", "reject",
    NULL };
static const char *const log_choices[] = { "debug", "info", "warn", "error",
    NULL };

/* The levels, and one more: LEVEL_COUNT. */
static const char *const route_level_choices[] = { "auto", "none", "may",
    "encrypt", "dane", "dane-only", "sts", "strict", "verify", "secure",
    "fingerprint", "by-destination", NULL };

_Static_assert(COUNT(service_choices) == SERVICES + 1, "a name per service");
_Static_assert(COUNT(route_level_choices) == LEVEL_COUNT + 2,
    "a name per level, and one more");
_Static_assert(COUNT(level_choices) == LEVEL_COUNT + 1, "a name per level");

const struct section sections[SECTION_COUNT] = {
	[SECTION_TOP] = { .name = "", .size = sizeof(struct conf) },
	[SECTION_CERTIFICATE] = { .name = "certificate", .title = "NAME",
	    .text = "A certificate of this server and its key. The client's "
	    "wish (SNI) chooses among several; the first one is shown when "
	    "there is no wish or no match. Without any, TLS is not offered.",
	    .example = "mx.example.org",
	    .array_offset = offsetof(struct conf, certificates),
	    .count_offset = offsetof(struct conf, certificate_count),
	    .size = sizeof(struct conf_certificate) },
	[SECTION_LISTEN] = { .name = "listen", .title = "NAME",
	    .text = "A port on which mail is taken in. Without any such "
	    "section there is one with all defaults, named smtp.",
	    .example = "smtp",
	    .array_offset = offsetof(struct conf, listeners),
	    .count_offset = offsetof(struct conf, listener_count),
	    .size = sizeof(struct conf_listener) },
	[SECTION_MILTER] = { .name = "milter", .title = "NAME",
	    .text = "A filter that is asked about mail before it is accepted: "
	    "rspamd, opendkim, clamav-milter or any other that speaks the "
	    "milter protocol. It is asked where its name stands in milters.",
	    .example = "rspamd",
	    .array_offset = offsetof(struct conf, milters),
	    .count_offset = offsetof(struct conf, milter_count),
	    .size = sizeof(struct conf_milter) },
	[SECTION_DOMAIN] = { .name = "domain", .title = "NAME",
	    .text = "A domain that is ours: its mail is accepted from "
	    "everybody and put into maildirs. Needs users or users-file.",
	    .example = "example.org",
	    .array_offset = offsetof(struct conf, domains),
	    .count_offset = offsetof(struct conf, domain_count),
	    .size = sizeof(struct conf_domain) },
	[SECTION_ROUTE] = { .name = "route", .title = "PATTERN",
	    .text = "Where mail for the recipient domains that match goes. "
	    "The first match in the file wins, also over our own domains; "
	    "without a match, our own domains go to their maildirs and the "
	    "others to the mail hosts (MX) of the domain.",
	    .example = "printer.example.org",
	    .array_offset = offsetof(struct conf, routes),
	    .count_offset = offsetof(struct conf, route_count),
	    .size = sizeof(struct conf_route) },
	[SECTION_DESTINATION] = { .name = "destination", .title = "PATTERN",
	    .text = "What TLS mail for the recipient domains that match must "
	    "get. The first match in the file wins; without a match, the "
	    "defaults of this section hold.",
	    .example = "bank.example",
	    .array_offset = offsetof(struct conf, destinations),
	    .count_offset = offsetof(struct conf, destination_count),
	    .size = sizeof(struct conf_destination) },
};

const struct option options[] = {
	/* who we are */
	{ TOP(hostname), .name = "hostname", .type = OPTION_TEXT,
	    .fallback = "", .computed = "the name of the machine",
	    .example = "mx.example.org",
	    .text = "Our name in the greeting, in EHLO and in Received lines. "
	    "Fully qualified; the address we send from should resolve to it "
	    "and back." },
	{ TOP(postmaster), .name = "postmaster", .type = OPTION_TEXT,
	    .fallback = "",
	    .computed = "postmaster at the first domain section, or at "
	    "hostname",
	    .text = "Address of the person in charge: gets the reports that "
	    "could not be delivered to a sender." },
	{ TOP(relay_from), .name = "relay-from", .type = OPTION_NETWORKS,
	    .fallback = "127.0.0.1/32 ::1/128",
	    .text = "Networks whose clients may send to any domain; others may "
	    "after they logged in or showed a listed certificate (see relay "
	    "in listen sections), and all may send to our own domains." },
	{ TOP(relay_certificates_file), .name = "relay-certificates-file",
	    .type = OPTION_PATH, .fallback = "",
	    .computed = "relay-certificates below state-directory",
	    .text = "Client certificates that may send to any domain, kept by "
	    "`postern relay`. It need not be there." },
	{ TOP(bare_newline_from), .name = "bare-newline-from",
	    .type = OPTION_NETWORKS, .fallback = "",
	    .text = "Networks of old devices that end lines with a lone line "
	    "feed: their messages are put right. From all others such a "
	    "message is refused, because it is how mail is smuggled." },
	{ TOP(tls_required_from), .name = "tls-required-from",
	    .type = OPTION_NETWORKS, .fallback = "",
	    .text = "Networks of partners who must use STARTTLS before "
	    "anything else, on every listener; others may." },

	/* users and addresses */
	{ TOP(accounts_file), .name = "accounts-file", .type = OPTION_PATH,
	    .fallback = "", .computed = "accounts below state-directory",
	    .text = "Who may log in, kept by `postern user`. It need not be "
	    "there." },
	{ TOP(auth_socket), .name = "auth-socket", .type = OPTION_PATH,
	    .fallback = "", .computed = "accounts-file is asked",
	    .text = "Dovecot's socket for authentication, which is asked "
	    "instead of accounts-file: an auth-client socket, such as "
	    "/var/spool/postfix/private/auth elsewhere." },
	{ TOP(auth_mechanisms), .name = "auth-mechanisms",
	    .type = OPTION_TEXTS, .fallback = "SCRAM-SHA-256-PLUS "
	    "SCRAM-SHA-256 PLAIN LOGIN EXTERNAL", .required = true,
	    .text = "How clients may log in, under TLS only. EXTERNAL is "
	    "shown to those with a listed certificate. With auth-socket, "
	    "those that Dovecot has." },
	{ TOP(aliases_file), .name = "aliases-file", .type = OPTION_PATH,
	    .fallback = "", .example = "/etc/postern/aliases",
	    .text = "Other names for addresses: see ALIASES. Names without a "
	    "domain hold in every domain of ours. A path that ends in .cdb "
	    "is a table: see TABLES." },
	{ TOP(recipient_delimiter), .name = "recipient-delimiter",
	    .type = OPTION_TEXT, .fallback = "+",
	    .text = "What follows it in a local part is the user's own: mail "
	    "for alice+shop is alice's, unless alice+shop is somebody. One "
	    "character; empty: there is none." },
	{ TOP(srs_domain), .name = "srs-domain", .type = OPTION_TEXT,
	    .fallback = "", .computed = "the sender stays as it is",
	    .text = "One of our domains, in which mail that an alias sends "
	    "to another domain gets its sender rewritten (SRS), so that SPF "
	    "holds there and reports come back." },
	{ TOP(srs_secret_file), .name = "srs-secret-file",
	    .type = OPTION_PATH, .fallback = "",
	    .text = "File with the secret that proves rewritten senders ours: "
	    "one a line, the first one signs, the others are still believed." },

	/* directories and files */
	{ TOP(state_directory), .name = "state-directory", .type = OPTION_PATH,
	    .fallback = POSTERN_STATE_DIR, .required = true,
	    .text = "What must survive a restart is kept below it." },
	{ TOP(queue_directory), .name = "queue-directory", .type = OPTION_PATH,
	    .fallback = "", .computed = "queue below state-directory",
	    .text = "The queue: a Berkeley DB environment of its own." },
	{ TOP(mail_directory), .name = "mail-directory", .type = OPTION_PATH,
	    .fallback = "",
	    .computed = POSTERN_MAIL_DIR ", or mail below state-directory "
	    "when drop-privileges is no",
	    .text = "Maildirs are DOMAIN/USER below it." },
	{ TOP(run_directory), .name = "run-directory", .type = OPTION_PATH,
	    .fallback = "",
	    .computed = POSTERN_RUN_DIR ", or run below state-directory when "
	    "drop-privileges is no",
	    .text = "The process id and the control socket." },
	{ TOP(control_socket), .name = "control-socket", .type = OPTION_PATH,
	    .fallback = "", .computed = "control below run-directory",
	    .text = "Socket on which the sub-commands of postern(8) speak to "
	    "the running server." },
	{ TOP(local_socket), .name = "local-socket", .type = OPTION_PATH,
	    .fallback = "", .computed = "submit below run-directory",
	    .text = "Socket on which programs of this machine give mail to "
	    "the running server: sendmail(8)." },
	{ TOP(drop_directory), .name = "drop-directory", .type = OPTION_PATH,
	    .fallback = "", .computed = "drop below state-directory",
	    .text = "Where sendmail(8) leaves mail while the server is "
	    "down." },
	{ TOP(trust_file), .name = "trust-file", .type = OPTION_PATH,
	    .fallback = "/etc/ssl/certs/ca-certificates.crt", .required = true,
	    .text = "Certificates (PEM) of the authorities that MTA-STS and "
	    "the levels verify and secure believe." },
	{ TOP(drop_privileges), .name = "drop-privileges", .type = OPTION_BOOL,
	    .fallback = "yes",
	    .text = "When started by root, run each process as its own user, "
	    "without a view of the file system. With no, everything runs as "
	    "the user who started it: for trials and tests." },
	{ TOP(users_prefix), .name = "users-prefix", .type = OPTION_TEXT,
	    .fallback = "postern-", .required = true,
	    .text = "The users of the processes are this and the process's "
	    "name: postern-smtpd, postern-queue." },
	{ TOP(mail_user), .name = "mail-user", .type = OPTION_TEXT,
	    .fallback = "postern-mail", .required = true,
	    .text = "User who owns and writes the maildirs." },
	{ TOP(control_group), .name = "control-group", .type = OPTION_TEXT,
	    .fallback = "postern", .required = true,
	    .text = "Members of this group may look at the queue; changing it "
	    "and reading mail is for root." },
	{ TOP(log_level), .name = "log-level", .type = OPTION_TEXT,
	    .fallback = "info", .choices = log_choices,
	    .text = "Records below this level are not written." },
	{ TOP(stop_seconds), .name = "stop-timeout", .type = OPTION_DURATION,
	    .fallback = "30s", .min = 1, .max = HOUR,
	    .text = "How long a process may finish what is in flight when it "
	    "is told to stop. What was accepted is never lost by it." },

	/* receiving */
	{ TOP(smtpd_workers), .name = "smtpd-workers", .type = OPTION_INTEGER,
	    .fallback = "0", .min = 0, .max = 64,
	    .text = "Processes that receive mail; 0 is one per processor." },
	{ TOP(max_message_size), .name = "max-message-size",
	    .type = OPTION_SIZE, .fallback = "50M", .min = 64 * KIBIBYTE,
	    .max = 2 * (int64_t)GIBIBYTE,
	    .text = "Largest message accepted, headers and body together." },
	{ TOP(max_recipients), .name = "max-recipients",
	    .type = OPTION_INTEGER, .fallback = "1000", .min = 100,
	    .max = 50000,
	    .text = "Recipients of one message; the client is asked to send "
	    "the rest in another one." },
	{ TOP(max_sessions), .name = "max-sessions", .type = OPTION_INTEGER,
	    .fallback = "2000", .min = 1, .max = 100000,
	    .text = "Connections open at a time, in all." },
	{ TOP(max_sessions_per_client), .name = "max-sessions-per-client",
	    .type = OPTION_INTEGER, .fallback = "50", .min = 1, .max = 100000,
	    .text = "Connections open at a time from one address (of IPv6, "
	    "from one /64)." },
	{ TOP(max_errors), .name = "max-errors", .type = OPTION_INTEGER,
	    .fallback = "20", .min = 1, .max = 10000,
	    .text = "Commands refused in one session before it is closed." },
	{ TOP(max_line), .name = "max-line", .type = OPTION_SIZE,
	    .fallback = "64K", .min = 1000, .max = MEBIBYTE,
	    .text = "Longest line of a message. Lines are never split, because "
	    "that breaks signatures; the standard asks for 1000 bytes." },
	{ TOP(max_received), .name = "max-received", .type = OPTION_INTEGER,
	    .fallback = "100", .min = 10, .max = 1000,
	    .text = "Received lines after which a message is taken to be "
	    "running in a circle." },
	{ TOP(command_timeout), .name = "command-timeout",
	    .type = OPTION_DURATION, .fallback = "5m", .min = 1, .max = HOUR,
	    .text = "How long a client may be silent between commands. The "
	    "standard asks for 5 minutes." },
	{ TOP(data_timeout), .name = "data-timeout", .type = OPTION_DURATION,
	    .fallback = "3m", .min = 1, .max = HOUR,
	    .text = "How long a client may be silent within a message." },
	{ TOP(message_timeout), .name = "message-timeout",
	    .type = OPTION_DURATION, .fallback = "1h", .min = 1, .max = DAY,
	    .text = "How long one message may take to arrive." },
	{ TOP(handshake_timeout), .name = "handshake-timeout",
	    .type = OPTION_DURATION, .fallback = "1m", .min = 1, .max = HOUR,
	    .text = "How long a TLS handshake may take, in both directions." },

	/* who mail is really from */
	{ TOP(authentication_name), .name = "authserv-id",
	    .type = OPTION_TEXT, .fallback = "", .computed = "hostname",
	    .text = "Our name in Authentication-Results fields (RFC 8601 2.5). "
	    "Fields with it that come from outside are taken out." },
	{ TOP(spf), .name = "spf", .type = OPTION_ENUM, .fallback = "off",
	    .choices = verify_choices,
	    .text = "Does the client's address belong to the sender's domain "
	    "(RFC 7208)? observe writes the result into Authentication-"
	    "Results; enforce refuses what the domain's record fails, and "
	    "asks to come later while the record cannot be had. Not for "
	    "clients that may relay." },
	{ TOP(dkim_verify), .name = "dkim-verify", .type = OPTION_BOOL,
	    .fallback = "no",
	    .text = "Verify DKIM signatures (RFC 6376) and write the results "
	    "into Authentication-Results. dmarc does it anyway." },
	{ TOP(dmarc), .name = "dmarc", .type = OPTION_ENUM, .fallback = "off",
	    .choices = verify_choices,
	    .text = "Does SPF or DKIM agree with the domain in From (DMARC)? "
	    "observe writes the result into Authentication-Results; enforce "
	    "refuses what the domain wants refused. Both make the two tests "
	    "as well." },
	{ TOP(dkim_keys_file), .name = "dkim-keys-file", .type = OPTION_PATH,
	    .fallback = "", .computed = "dkim-keys below state-directory",
	    .text = "Keys that sign mail of ours, kept by `postern dkim`. It "
	    "need not be there." },

	/* filters */
	{ TOP(milter_chain), .name = "milters", .type = OPTION_TEXTS,
	    .fallback = "", .example = "{ rspamd }",
	    .text = "Names of the milter sections that are asked about each "
	    "message, in order; each sees what the ones before it have "
	    "changed. Listen sections may name others." },
	{ TOP(filter_memory), .name = "filter-memory", .type = OPTION_SIZE,
	    .fallback = "256M", .min = MEBIBYTE, .max = 64 * (int64_t)GIBIBYTE,
	    .text = "Memory that each smtpd process has for messages on their "
	    "way through filters; with less, mail is asked to come later." },

	/* limits and tests of clients */
	{ TOP(allow_from), .name = "allow-from", .type = OPTION_NETWORKS,
	    .fallback = "", .example = "{ 192.0.2.0/24 }",
	    .text = "Clients that none of the tests and limits from here to "
	    "tarpit is made of. They may not relay by it." },
	{ TOP(deny_from), .name = "deny-from", .type = OPTION_NETWORKS,
	    .fallback = "", .text = "Clients that no mail is taken from." },
	{ TOP(connection_rate), .name = "connection-rate",
	    .type = OPTION_RATE, .fallback = "off",
	    .example = "\"60/1m\"",
	    .text = "Connections of one address (of IPv6: of one /64). This "
	    "and the rates below are so many within a time, \"100/1h\"; with "
	    "warn behind it, \"100/1h warn\", only the log tells what would "
	    "have been refused." },
	{ TOP(network_connection_rate), .name = "network-connection-rate",
	    .type = OPTION_RATE, .fallback = "off",
	    .text = "Connections of one network: see network-ipv4." },
	{ TOP(message_rate), .name = "message-rate", .type = OPTION_RATE,
	    .fallback = "off", .text = "Messages from one address." },
	{ TOP(recipient_rate), .name = "recipient-rate",
	    .type = OPTION_RATE, .fallback = "off",
	    .text = "Recipients, known and unknown, from one address." },
	{ TOP(network_recipient_rate), .name = "network-recipient-rate",
	    .type = OPTION_RATE, .fallback = "off",
	    .text = "The same from one network." },
	{ TOP(sender_rate), .name = "sender-rate", .type = OPTION_RATE,
	    .fallback = "off",
	    .text = "Recipients of mail from one sender address." },
	{ TOP(user_rate), .name = "user-rate", .type = OPTION_RATE,
	    .fallback = "off", .example = "\"200/1h\"",
	    .text = "Messages of one user who logged in, or of one listed "
	    "certificate or user of the machine: what a stolen password is "
	    "worth." },
	{ TOP(user_recipient_rate), .name = "user-recipient-rate",
	    .type = OPTION_RATE, .fallback = "off",
	    .text = "Recipients of the same." },
	{ TOP(network_ipv4), .name = "network-ipv4",
	    .type = OPTION_INTEGER, .fallback = "24", .min = 8, .max = 32,
	    .text = "How many bits of an IPv4 address make a network." },
	{ TOP(network_ipv6), .name = "network-ipv6",
	    .type = OPTION_INTEGER, .fallback = "48", .min = 16, .max = 64,
	    .text = "The same of IPv6." },
	{ TOP(dnsbl), .name = "dnsbl", .type = OPTION_TEXTS,
	    .fallback = "", .example = "{ \"bl.example 127.0.0.2-127.0.0.11\" }",
	    .text = "Lists of bad clients in the DNS, each \"ZONE\" or "
	    "\"ZONE ANSWERS\": addresses and ranges, by commas, that count as "
	    "listed (all of 127.0.0.0/8 but 127.255.255.0/24, which means "
	    "that the list refuses to answer)." },
	{ TOP(dnsbl_mode), .name = "dnsbl-mode", .type = OPTION_ENUM,
	    .fallback = "on", .choices = mode_choices,
	    .text = "off, warn (only the log tells) or on." },
	{ TOP(dnswl), .name = "dnswl", .type = OPTION_TEXTS, .fallback = "",
	    .text = "Lists of good clients in the same form: no dnsbl, "
	    "reverse-name and greylist for them." },
	{ TOP(reverse_name), .name = "reverse-name", .type = OPTION_ENUM,
	    .fallback = "off", .choices = mode_choices,
	    .text = "Must a client's address have a name that leads back to "
	    "it? Who has none is refused." },
	{ TOP(greylist), .name = "greylist", .type = OPTION_ENUM,
	    .fallback = "off", .choices = mode_choices,
	    .text = "Ask a sender who is new to a recipient to come again. "
	    "What has once come again is known, also after a restart." },
	{ TOP(greylist_delay), .name = "greylist-delay",
	    .type = OPTION_DURATION, .fallback = "5m", .min = 1, .max = DAY,
	    .text = "When to come again at the earliest." },
	{ TOP(greylist_window), .name = "greylist-window",
	    .type = OPTION_DURATION, .fallback = "2d", .min = MINUTE,
	    .max = 30 * DAY, .text = "And at the latest." },
	{ TOP(greylist_keep), .name = "greylist-keep",
	    .type = OPTION_DURATION, .fallback = "36d", .min = HOUR,
	    .max = 3650 * DAY,
	    .text = "How long who came again is known without coming." },
	{ TOP(greeting_delay), .name = "greeting-delay",
	    .type = OPTION_DURATION, .fallback = "0s", .min = 0,
	    .max = MINUTE,
	    .text = "How long clients on listeners of service smtp wait for "
	    "the greeting. Who talks before it is an early talker." },
	{ TOP(early_talker), .name = "early-talker", .type = OPTION_ENUM,
	    .fallback = "on", .choices = mode_choices,
	    .text = "Refuse clients that talk before the greeting." },
	{ TOP(tarpit), .name = "tarpit", .type = OPTION_DURATION,
	    .fallback = "0s", .min = 0, .max = MINUTE,
	    .text = "How long each refusal of a command is held back once a "
	    "client has had tarpit-after of them." },
	{ TOP(tarpit_after), .name = "tarpit-after",
	    .type = OPTION_INTEGER, .fallback = "3", .min = 0, .max = 1000,
	    .text = "Refusals that a client gets at once." },

	/* keeping */
	{ TOP(message_expiry), .name = "message-expiry",
	    .type = OPTION_DURATION, .fallback = "5d", .min = MINUTE,
	    .max = 100 * DAY,
	    .text = "Age at which a message that could not be delivered goes "
	    "back to its sender." },
	{ TOP(bounce_expiry), .name = "bounce-expiry", .type = OPTION_DURATION,
	    .fallback = "2d", .min = MINUTE, .max = 100 * DAY,
	    .text = "Age at which a report to a sender is given up." },
	{ TOP(delay_warning), .name = "delay-warning",
	    .type = OPTION_DURATION, .fallback = "4h", .min = 0,
	    .max = 100 * DAY,
	    .text = "Age at which the sender of a message that still waits is "
	    "told so, once; 0s is never." },
	{ TOP(history), .name = "history", .type = OPTION_DURATION,
	    .fallback = "3d", .min = 0, .max = 366 * DAY,
	    .text = "How long finished messages, with each attempt and what "
	    "was answered, stay in `postern queue history`; 0s keeps none." },
	{ TOP(history_space), .name = "history-space", .type = OPTION_SIZE,
	    .fallback = "1G", .min = MEBIBYTE,
	    .max = 1024 * (int64_t)GIBIBYTE,
	    .text = "What that history may take; beyond, the oldest goes." },
	{ TOP(retry_first), .name = "retry-first", .type = OPTION_DURATION,
	    .fallback = "5m", .min = 1, .max = DAY,
	    .text = "Pause after the first failed attempt; it grows with each "
	    "further one." },
	{ TOP(retry_max), .name = "retry-max", .type = OPTION_DURATION,
	    .fallback = "4h", .min = 1, .max = 10 * DAY,
	    .text = "Longest pause between two attempts." },
	{ TOP(destination_concurrency), .name = "destination-concurrency",
	    .type = OPTION_INTEGER, .fallback = "20", .min = 1, .max = 1000,
	    .text = "Deliveries at a time to one host." },
	{ TOP(delivery_slots), .name = "delivery-slots",
	    .type = OPTION_INTEGER, .fallback = "200", .min = 1, .max = 10000,
	    .text = "Deliveries at a time, in all." },
	{ TOP(low_space), .name = "low-space", .type = OPTION_SIZE,
	    .fallback = "200M", .min = MEBIBYTE,
	    .max = 1024 * (int64_t)GIBIBYTE,
	    .text = "Space kept free where the queue is; with less, mail is "
	    "asked to come later." },
	{ TOP(queue_cache), .name = "queue-cache", .type = OPTION_SIZE,
	    .fallback = "64M", .min = MEBIBYTE, .max = 64 * (int64_t)GIBIBYTE,
	    .text = "Memory for the cache of the queue's database." },
	{ TOP(active_messages), .name = "active-messages",
	    .type = OPTION_INTEGER, .fallback = "1000000", .min = 10,
	    .max = 10000000,
	    .text = "Messages that are due and held in memory, 24 bytes each; "
	    "others wait on disk." },

	/* sending */
	{ TOP(connect_timeout), .name = "connect-timeout",
	    .type = OPTION_DURATION, .fallback = "30s", .min = 1, .max = HOUR,
	    .text = "How long to wait for a connection to one address." },
	{ TOP(greeting_timeout), .name = "greeting-timeout",
	    .type = OPTION_DURATION, .fallback = "5m", .min = 1, .max = HOUR,
	    .text = "How long to wait for the greeting of a server." },
	{ TOP(reply_timeout), .name = "reply-timeout",
	    .type = OPTION_DURATION, .fallback = "5m", .min = 1, .max = HOUR,
	    .text = "How long to wait for the answer to a command." },
	{ TOP(data_reply_timeout), .name = "data-reply-timeout",
	    .type = OPTION_DURATION, .fallback = "10m", .min = 1, .max = HOUR,
	    .text = "How long to wait for the answer to a whole message. Less "
	    "than 10 minutes makes duplicates." },
	{ TOP(reuse_limit), .name = "reuse-limit", .type = OPTION_INTEGER,
	    .fallback = "100", .min = 1, .max = 100000,
	    .text = "Messages sent over one connection." },
	{ TOP(reuse_idle), .name = "reuse-idle", .type = OPTION_DURATION,
	    .fallback = "5s", .min = 0, .max = 5 * MINUTE,
	    .text = "How long a connection waits for another message." },
	{ TOP(source_addresses), .name = "source-addresses",
	    .type = OPTION_TEXTS, .fallback = "",
	    .computed = "the system chooses",
	    .text = "Addresses to send from: at most one IPv4 and one IPv6." },
	{ TOP(ipv4), .name = "ipv4", .type = OPTION_BOOL, .fallback = "yes",
	    .text = "Send over IPv4." },
	{ TOP(ipv6), .name = "ipv6", .type = OPTION_BOOL, .fallback = "yes",
	    .text = "Send over IPv6." },
	{ TOP(prefer), .name = "prefer-family", .type = OPTION_ENUM,
	    .fallback = "any", .choices = family_choices,
	    .text = "Which addresses of a host to try first; any takes them "
	    "in turn." },
	{ TOP(hello_ipv4), .name = "hello-ipv4", .type = OPTION_TEXT,
	    .fallback = "", .computed = "hostname",
	    .text = "Name in EHLO when sending over IPv4: what the address "
	    "that we send from resolves to." },
	{ TOP(hello_ipv6), .name = "hello-ipv6", .type = OPTION_TEXT,
	    .fallback = "", .computed = "hostname",
	    .text = "The same over IPv6." },
	{ TOP(allow_loopback), .name = "allow-loopback", .type = OPTION_BOOL,
	    .fallback = "no",
	    .text = "Let mail go to loopback addresses. For tests only: a "
	    "stranger's DNS can name them." },

	/* resolver */
	{ TOP(resolver), .name = "resolver", .type = OPTION_ENUM,
	    .fallback = "recursive", .choices = resolver_choices,
	    .text = "recursive asks the name servers of the world itself; "
	    "forward asks the forwarders; resolv.conf asks those the system "
	    "uses. Answers are validated here in all cases." },
	{ TOP(forwarders), .name = "forwarders", .type = OPTION_TEXTS,
	    .fallback = "",
	    .text = "Resolvers for resolver = forward: ADDRESS or "
	    "ADDRESS@PORT." },
	{ TOP(stub_zones), .name = "stub-zones", .type = OPTION_TEXTS,
	    .fallback = "",
	    .text = "Zones that are asked for elsewhere, each as one string "
	    "\"ZONE ADDRESS\" or \"ZONE ADDRESS@PORT\"." },
	{ TOP(trust_anchor_file), .name = "trust-anchor-file",
	    .type = OPTION_PATH, .fallback = "/usr/share/dns/root.key",
	    .text = "The DNSSEC key of the root. The default may be missing; "
	    "then, and with an empty value, nothing is validated." },
	{ TOP(root_hints_file), .name = "root-hints-file",
	    .type = OPTION_PATH, .fallback = "",
	    .computed = "the addresses built into libunbound",
	    .text = "Addresses of the root name servers, as a zone file." },
	{ TOP(resolver_timeout), .name = "resolver-timeout",
	    .type = OPTION_DURATION, .fallback = "30s", .min = 1,
	    .max = 5 * MINUTE,
	    .text = "How long one lookup may take before it counts as a "
	    "temporary failure." },

	/* MTA-STS */
	{ TOP(sts_discovery_wait), .name = "sts-discovery-wait",
	    .type = OPTION_DURATION, .fallback = "1h", .min = 0,
	    .max = 100 * DAY,
	    .text = "When the DNS does not say whether a domain has an "
	    "MTA-STS policy, and none is remembered, mail waits so long from "
	    "its arrival; then it goes as if there were none, with an alarm "
	    "in the log." },
	{ TOP(sts_fetch_timeout), .name = "sts-fetch-timeout",
	    .type = OPTION_DURATION, .fallback = "1m", .min = 1,
	    .max = 10 * MINUTE,
	    .text = "How long one fetch of a policy may take in all." },
	{ TOP(sts_refresh), .name = "sts-refresh", .type = OPTION_DURATION,
	    .fallback = "1d", .min = MINUTE, .max = 30 * DAY,
	    .text = "Policies that are remembered are fetched again after so "
	    "long, whether or not there is mail, so that they do not run out "
	    "unnoticed." },
	{ TOP(sts_approvals_file), .name = "sts-approvals-file",
	    .type = OPTION_PATH, .fallback = "",
	    .computed = "sts-approvals below state-directory",
	    .text = "Which of our own policies may enforce, kept by `postern "
	    "sts publish`. It need not be there." },

	/* REQUIRETLS */
	{ TOP(smtputf8), .name = "smtputf8", .type = OPTION_BOOL,
	    .fallback = "yes",
	    .text = "Offer SMTPUTF8 (RFC 6531): addresses and headers in "
	    "every script. Such mail goes only to hosts that take it." },
	{ TOP(requiretls), .name = "requiretls", .type = OPTION_BOOL,
	    .fallback = "yes",
	    .text = "Offer REQUIRETLS (RFC 8689) under TLS: whoever asks for it "
	    "has the message sent only where TLS with an authenticated host "
	    "leads on, and returned otherwise." },
	{ TOP(tls_required_no), .name = "tls-required-no",
	    .type = OPTION_ENUM, .fallback = "everybody",
	    .choices = tls_optional_choices,
	    .text = "Whose header TLS-Required: No is heeded, so that what the "
	    "recipient's domain publishes does not hold that message up: "
	    "everybody's, only that of clients that may relay (relay-from, a "
	    "login, a listed certificate), or nobody's." },
	{ TOP(requiretls_dane_ee), .name = "requiretls-dane-ee",
	    .type = OPTION_ENUM, .fallback = "match",
	    .choices = requiretls_dane_choices,
	    .text = "With REQUIRETLS, a certificate that matches a TLSA record "
	    "of usage 3 is enough (RFC 7672 3.1.1); or must show the host's "
	    "name, too (RFC 8689 4.2.1 to the letter)." },
	{ TOP(requiretls_bounce), .name = "requiretls-bounce",
	    .type = OPTION_ENUM, .fallback = "send",
	    .choices = requiretls_bounce_choices,
	    .text = "A notification about a message with REQUIRETLS, headers "
	    "only, to a domain that cannot take it so: send uses the best TLS "
	    "there is; drop gives it up." },

	/* TLS memory */
	{ TOP(memory_observations), .name = "memory-observations",
	    .type = OPTION_INTEGER, .fallback = "5", .min = 1, .max = 10000,
	    .text = "Connections under TLS to a destination or host, until TLS "
	    "is expected of it (destination option memory)." },
	{ TOP(memory_age), .name = "memory-age", .type = OPTION_DURATION,
	    .fallback = "60d", .min = HOUR, .max = 3650 * DAY,
	    .text = "What was not seen for so long is not expected any more." },

	{ CERTIFICATE(chain), .name = "chain", .type = OPTION_PATH,
	    .fallback = "", .required = true,
	    .example = "/etc/postern/fullchain.pem",
	    .text = "File with the certificate and, below it, the "
	    "intermediate ones (PEM)." },
	{ CERTIFICATE(key), .name = "key", .type = OPTION_PATH,
	    .fallback = "", .required = true,
	    .example = "/etc/postern/key.pem",
	    .text = "File with the private key (PEM, without a password). "
	    "Only the processes that receive mail get its contents." },

	{ LISTEN(service), .name = "service", .type = OPTION_ENUM,
	    .fallback = "smtp", .choices = service_choices,
	    .computed = "by the section's name: submission and submissions "
	    "mean submission, lmtp and mta-sts themselves, others smtp",
	    .text = "smtp: mail from everybody for our domains. submission: "
	    "from our own people, who log in (RFC 6409). lmtp: from servers "
	    "of ours. mta-sts: not for mail: our policies by HTTPS." },
	{ LISTEN(addresses), .name = "addresses", .type = OPTION_TEXTS,
	    .fallback = "0.0.0.0 ::", .required = true,
	    .text = "Addresses to listen on." },
	{ LISTEN(port), .name = "port", .type = OPTION_INTEGER,
	    .fallback = "25", .min = 1, .max = 65535,
	    .computed = "smtp 25, submission 587, submissions 465, lmtp 24, "
	    "mta-sts 443",
	    .text = "Port to listen on." },
	{ LISTEN(socket), .name = "socket", .type = OPTION_PATH,
	    .fallback = "", .text = "A Unix socket to listen on instead of a port." },
	{ LISTEN(socket_group), .name = "socket-group", .type = OPTION_TEXT,
	    .fallback = "", .computed = "control-group",
	    .text = "Whose members may connect to it." },
	{ LISTEN(tls), .name = "tls", .type = OPTION_ENUM,
	    .fallback = "offer", .choices = listener_tls_choices,
	    .computed = "smtp offer, submission require, submissions and "
	    "mta-sts implicit, on a Unix socket none",
	    .text = "offer shows STARTTLS when there is a certificate; require "
	    "takes no mail without it, which a public mail host must not do "
	    "(RFC 3207 4); implicit begins with TLS (RFC 8314); none never "
	    "shows it." },
	{ LISTEN(certificates), .name = "certificates", .type = OPTION_TEXTS,
	    .fallback = "", .computed = "all of them",
	    .example = "{ mx.example.org }",
	    .text = "Names of the certificate sections to show here." },
	{ LISTEN(client_certificates), .name = "client-certificates",
	    .type = OPTION_BOOL, .fallback = "no",
	    .text = "Ask clients for a certificate. One that is listed (`"
	    "postern relay`) may relay; any other, or none, changes "
	    "nothing." },
	{ LISTEN(auth), .name = "auth", .type = OPTION_BOOL,
	    .fallback = "no", .computed = "yes for submission",
	    .text = "Offer AUTH, under TLS." },
	{ LISTEN(relay), .name = "relay", .type = OPTION_ENUM,
	    .fallback = "any", .choices = relay_choices,
	    .text = "Who may send to any domain from here: any is relay-from, "
	    "listed certificates and those who logged in; authenticated the "
	    "latter two; nobody none of them." },
	{ LISTEN(proxy_from), .name = "proxy-from", .type = OPTION_NETWORKS,
	    .fallback = "", .example = "{ 192.0.2.10/32 }",
	    .text = "Load balancers whose connections begin with a PROXY "
	    "header (version 1 or 2), which names the client. From them a "
	    "connection without one is closed; from others the header is "
	    "nothing but a wrong command." },
	{ LISTEN(max_sessions_per_client), .name = "max-sessions-per-client",
	    .type = OPTION_INTEGER, .fallback = "0", .min = 0, .max = 100000,
	    .computed = "that of all listeners",
	    .text = "Connections open at a time from one address, here." },

	{ LISTEN(milters), .name = "milters", .type = OPTION_TEXTS,
	    .fallback = "", .computed = "those of all listeners",
	    .example = "{ rspamd }",
	    .text = "Names of the milter sections for mail from here; { } for "
	    "none." },

	{ MILTER(socket), .name = "socket", .type = OPTION_PATH,
	    .fallback = "", .example = "/run/rspamd/milter.sock",
	    .text = "Its Unix socket; or else host." },
	{ MILTER(host), .name = "host", .type = OPTION_TEXT, .fallback = "",
	    .text = "Its address. What goes there is not encrypted: an address "
	    "of this machine, or one that a tunnel leads to." },
	{ MILTER(port), .name = "port", .type = OPTION_INTEGER,
	    .fallback = "0", .min = 0, .max = 65535,
	    .text = "Its port at host." },
	{ MILTER(connect_timeout), .name = "connect-timeout",
	    .type = OPTION_DURATION, .fallback = "10s", .min = 1, .max = HOUR,
	    .text = "How long to wait for a connection and its options." },
	{ MILTER(reply_timeout), .name = "reply-timeout",
	    .type = OPTION_DURATION, .fallback = "30s", .min = 1, .max = HOUR,
	    .text = "How long to wait for each answer; a sign of progress "
	    "starts it anew." },
	{ MILTER(message_timeout), .name = "message-timeout",
	    .type = OPTION_DURATION, .fallback = "5m", .min = 1, .max = HOUR,
	    .text = "How long it may take over one message in all, progress "
	    "or not." },
	{ MILTER(failure), .name = "failure", .type = OPTION_ENUM,
	    .fallback = "tempfail", .choices = failure_choices,
	    .text = "What to do with mail when it cannot be asked, is late or "
	    "breaks the protocol: tempfail asks to come later, accept goes on "
	    "without it, reject refuses." },

	{ DOMAIN(users), .name = "users", .type = OPTION_TEXTS,
	    .fallback = "", .example = "{ postmaster, alice }",
	    .text = "Local parts that exist; \"*\" takes everybody." },
	{ DOMAIN(users_file), .name = "users-file", .type = OPTION_PATH,
	    .fallback = "",
	    .text = "File with more of them, one on a line; a path that ends "
	    "in .cdb is a table: see TABLES." },
	{ DOMAIN(maildir), .name = "maildir", .type = OPTION_PATH,
	    .fallback = "", .computed = "the domain's name below "
	    "mail-directory",
	    .text = "Directory in which each user has a maildir; below "
	    "mail-directory." },
	{ DOMAIN(relay), .name = "relay", .type = OPTION_BOOL,
	    .fallback = "no",
	    .text = "Mail for its users is not kept here but sent on, by its "
	    "route or to its mail hosts (MX): as a backup of theirs, or as a "
	    "gateway." },
	{ DOMAIN(aliases_file), .name = "aliases-file", .type = OPTION_PATH,
	    .fallback = "",
	    .text = "Aliases of this domain, before those of all: see "
	    "ALIASES and TABLES." },
	{ DOMAIN(catch_all), .name = "catch-all", .type = OPTION_TEXT,
	    .fallback = "", .computed = "unknown users are refused",
	    .text = "Address that gets the mail of users who are not there." },
	{ DOMAIN(quota), .name = "quota", .type = OPTION_SIZE,
	    .fallback = "0", .min = 0, .max = 1024 * (int64_t)GIBIBYTE,
	    .text = "What each maildir may hold (Maildir++); beyond it mail "
	    "is refused for now, and returned when it expires. 0: no limit." },
	{ DOMAIN(sts), .name = "mta-sts", .type = OPTION_ENUM,
	    .fallback = "none", .choices = sts_choices,
	    .text = "The MTA-STS policy of this domain, as a listener with "
	    "service = mta-sts serves it and `postern sts` shows it. enforce "
	    "is in force only once `postern sts publish` has found that the "
	    "names, certificates and records that it needs agree; until then "
	    "the policy that was in force before, or testing. withdraw serves "
	    "the policy that takes the others back (RFC 8461 8.3): before "
	    "none, which serves nothing." },
	{ DOMAIN(sts_mx), .name = "mta-sts-mx", .type = OPTION_TEXTS,
	    .fallback = "", .computed = "hostname",
	    .text = "Mail hosts that the policy names: all of the domain's "
	    "MX records. \"*.example.org\" is any name one label below it." },
	{ DOMAIN(sts_max_age), .name = "mta-sts-max-age",
	    .type = OPTION_DURATION, .fallback = "14d", .min = 1,
	    .max = 31557600,
	    .text = "How long others may keep the policy (RFC 8461 3.2)." },
	{ DOMAIN(spf), .name = "spf", .type = OPTION_ENUM,
	    .fallback = "by-top", .choices = domain_verify_choices,
	    .text = "spf for mail to this domain. A message to several domains "
	    "is refused only if all of them enforce." },
	{ DOMAIN(dmarc), .name = "dmarc", .type = OPTION_ENUM,
	    .fallback = "by-top", .choices = domain_verify_choices,
	    .text = "The same of dmarc." },
	{ DOMAIN(dkim_sign), .name = "dkim-sign", .type = OPTION_BOOL,
	    .fallback = "yes",
	    .text = "Sign mail from this domain that our own people send, and "
	    "our own reports, when it has an active key (`postern dkim`)." },

	{ ROUTE(transport), .name = "transport", .type = OPTION_ENUM,
	    .fallback = "smtp", .choices = transport_choices,
	    .text = "smtp sends to a host; lmtp to a server of mailboxes, as "
	    "Dovecot is; maildir is for our own domains; discard drops the "
	    "message and calls it delivered." },
	{ ROUTE(host), .name = "host", .type = OPTION_TEXT, .fallback = "",
	    .computed = "the recipient's domain",
	    .text = "Name or address of the next host." },
	{ ROUTE(port), .name = "port", .type = OPTION_INTEGER,
	    .fallback = "25", .min = 1, .max = 65535,
	    .text = "Port to send to." },
	{ ROUTE(mx), .name = "mx", .type = OPTION_BOOL, .fallback = "yes",
	    .text = "Look up the mail hosts (MX) of host; with no, connect to "
	    "host itself. An address never has any." },
	{ ROUTE(tls), .name = "tls", .type = OPTION_ENUM,
	    .fallback = "starttls", .choices = route_tls_choices,
	    .text = "implicit speaks TLS from the first byte, as on port 465; "
	    "there is no way back to clear from it." },
	{ ROUTE(socket), .name = "socket", .type = OPTION_PATH,
	    .fallback = "",
	    .text = "For lmtp: a Unix socket, such as /run/dovecot/lmtp, "
	    "instead of host and port." },
	{ ROUTE(credentials_file), .name = "credentials-file",
	    .type = OPTION_PATH, .fallback = "",
	    .text = "File with a user name on its first line and the password "
	    "on its second, to log in with. Said under TLS to an "
	    "authenticated host only, so it needs a level of dane-only, "
	    "verify, secure or fingerprint." },
	{ ROUTE(certificate), .name = "certificate", .type = OPTION_TEXT,
	    .fallback = "",
	    .text = "Name of the certificate section to show as a client." },
	{ ROUTE(level), .name = "level", .type = OPTION_ENUM,
	    .fallback = "by-destination", .choices = route_level_choices,
	    .text = "TLS that this route must get, as in destination "
	    "sections, which are not asked then; by-destination asks them." },
	{ ROUTE(names), .name = "names", .type = OPTION_TEXTS,
	    .fallback = "", .computed = "as in destination sections",
	    .text = "For the levels verify and secure." },
	{ ROUTE(fingerprints), .name = "fingerprints",
	    .type = OPTION_FINGERPRINTS, .fallback = "",
	    .second_offset = offsetof(struct conf_route, fingerprint_count),
	    .text = "For the level fingerprint." },

	{ DESTINATION(level), .name = "level", .type = OPTION_ENUM,
	    .fallback = "auto", .choices = level_choices,
	    .text = "auto: what the domain publishes by DANE or MTA-STS; TLS "
	    "when offered where it publishes nothing. none: never TLS. may: "
	    "TLS when offered, whatever is published. encrypt: as auto, and "
	    "TLS always. dane: as auto without MTA-STS. dane-only: TLS "
	    "authenticated by DANE or no mail. sts: as auto, but one of the "
	    "two must be there. strict: the same, and TLSA records that "
	    "cannot be used are not enough. verify: TLS and a certificate of "
	    "a known authority for one of names, whatever is published. "
	    "secure: the same, without trust in DNS. fingerprint: TLS and one "
	    "of fingerprints. No mail is sent to a host that does not reach "
	    "the level; it waits." },
	{ DESTINATION(names), .name = "names", .type = OPTION_TEXTS,
	    .fallback = "", .computed = "verify: the name of the mail host; "
	    "secure: the recipient's domain, or the host its route names, and "
	    "with MX lookup the names below it",
	    .text = "For verify and secure: names of which the certificate "
	    "must show one. \".example.org\" is any name below it." },
	{ DESTINATION(fingerprints), .name = "fingerprints",
	    .type = OPTION_FINGERPRINTS, .fallback = "",
	    .second_offset = offsetof(struct conf_destination,
	    fingerprint_count),
	    .text = "For fingerprint: SHA-256 digests of the certificate or "
	    "of its public key, in hexadecimal, with or without colons." },
	{ DESTINATION(no_starttls), .name = "no-starttls",
	    .type = OPTION_FALLBACK, .fallback = "clear", .min = 1,
	    .max = 100 * DAY,
	    .second_offset = offsetof(struct conf_destination,
	    no_starttls_after),
	    .text = "Where TLS is used when offered and a host does not offer it: "
	    "clear sends without it; defer waits; \"clear-after T\" waits until the "
	    "message is T old." },
	{ DESTINATION(broken_tls), .name = "broken-tls",
	    .type = OPTION_FALLBACK, .fallback = "clear-after 4h",
	    .min = 1, .max = 100 * DAY,
	    .second_offset = offsetof(struct conf_destination,
	    broken_tls_after),
	    .text = "The same when a host offers TLS and it fails." },
	{ DESTINATION(insecure_mx), .name = "insecure-mx",
	    .type = OPTION_ENUM, .fallback = "dane",
	    .choices = insecure_mx_choices,
	    .text = "Where the domain's MX records are not signed but a host "
	    "named by them has signed TLSA records: may ignores those; "
	    "encrypt asks for TLS; dane asks for the certificate they name, "
	    "which proves the host, not that it is the domain's." },
	{ DESTINATION(sts_with_dane), .name = "sts-with-dane",
	    .type = OPTION_ENUM, .fallback = "dane",
	    .choices = sts_with_dane_choices,
	    .text = "Where a host has usable TLSA records and the domain an "
	    "MTA-STS policy to enforce: dane is enough; or both must be "
	    "fulfilled." },
	{ DESTINATION(memory), .name = "memory", .type = OPTION_ENUM,
	    .fallback = "warn", .choices = memory_choices,
	    .text = "Where nothing published asks for TLS but the destination "
	    "or the host has always shown it, and now does not: observe only "
	    "remembers; warn sends, and tells; defer waits." },
};

const size_t option_count = COUNT(options);
const char system_mail_directory[] = POSTERN_MAIL_DIR;
const char system_run_directory[] = POSTERN_RUN_DIR;

const struct option *option_find(enum option_section section, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].section == section &&
		    strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

enum option_section section_find(const char *name)
{
	enum option_section section;

	for (section = SECTION_TOP + 1; section < SECTION_COUNT; section++)
		if (strcmp(sections[section].name, name) == 0)
			break;
	return section;
}

void *section_element(const struct conf *conf, enum option_section section,
    size_t index)
{
	char *array;

	if (section == SECTION_TOP)
		return (void *)(uintptr_t)conf;
	memcpy(&array, (const char *)conf + sections[section].array_offset,
	    sizeof(array));
	return array + index * sections[section].size;
}

size_t section_count(const struct conf *conf, enum option_section section)
{
	size_t count;

	if (section == SECTION_TOP)
		return 1;
	memcpy(&count, (const char *)conf + sections[section].count_offset,
	    sizeof(count));
	return count;
}

const char *conf_level_name(enum conf_level level)
{
	return level < LEVEL_COUNT ? level_choices[level] : "unknown";
}

bool conf_level_may_fall_back(enum conf_level level)
{
	return level == LEVEL_AUTO || level == LEVEL_MAY ||
	    level == LEVEL_DANE;
}

bool conf_level_heeds_sts(enum conf_level level)
{
	return level == LEVEL_AUTO || level == LEVEL_ENCRYPT ||
	    level == LEVEL_STS || level == LEVEL_STRICT;
}

bool conf_level_heeds_dane(enum conf_level level)
{
	return conf_level_heeds_sts(level) || level == LEVEL_DANE ||
	    level == LEVEL_DANE_ONLY;
}
