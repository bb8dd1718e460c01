/* SPDX-License-Identifier: ISC */
/*
 * conf/check.c: what must hold across options. Each row is a text and the
 * whole of what is told about it; the line before each text gives a host
 * name, so that the first line of a text is line 2. Covers TLS-14 (a public
 * host may demand TLS only by choice, so it is never a default), SMTP-20,
 * DANE-57, DANE-113, STS-21 (names of other scripts).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

static const char first_line[] = "hostname = mx.example.org\n";

struct row {
	const char	*text;
	const char	*lines;		/* told */
};

static const struct row bad_top[] = {
	{ "postmaster = root",
	    "f.conf:2: postmaster = root is not an address; accepted: "
	    "LOCAL-PART@DOMAIN\n" },
	{ "relay-from = 0.0.0.0/0",
	    "f.conf:2: relay-from has the whole Internet in it, which "
	    "makes an open relay; name the networks of your own "
	    "machines\n" },
	{ "retry-first = 5h",
	    "f.conf:2: retry-max is shorter than retry-first; "
	    "accepted: retry-first <= retry-max < message-expiry\n" },
	{ "message-expiry = 1h",
	    "f.conf:2: message-expiry is not longer than retry-max, so "
	    "messages would expire between two attempts; accepted: "
	    "retry-first <= retry-max < message-expiry\n" },
	{ "retry-max = 6d",
	    "f.conf:2: message-expiry is not longer than retry-max, so "
	    "messages would expire between two attempts; accepted: "
	    "retry-first <= retry-max < message-expiry\n" },
	{ "ipv4 = no ipv6 = no",
	    "f.conf:2: ipv4 and ipv6 are both no, so nothing can be "
	    "sent; set one of them to yes\n" },
	{ "source-addresses = { 192.0.2.1, 192.0.2.2, x }",
	    "f.conf:2: source-addresses: 192.0.2.2 is the second of "
	    "its kind; accepted: one IPv4 and one IPv6 address\n"
	    "f.conf:2: source-addresses: x is not an address; "
	    "accepted: such as 192.0.2.1 and 2001:db8::1\n" },
	{ "resolver = forward",
	    "f.conf:2: resolver = forward needs forwarders; name them, "
	    "such as forwarders = 192.0.2.53\n" },
	{ "forwarders = 192.0.2.53",
	    "f.conf:2: forwarders are used with resolver = forward "
	    "only; write that, or remove them\n" },
	{ "resolver = forward forwarders = { 192.0.2.1@0, "
	    "192.0.2.1@53, \"::1@5353\", x, 192.0.2.1@, 192.0.2.1@70000 }",
	    "f.conf:2: forwarders: 192.0.2.1@0 is not a server; "
	    "accepted: ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53\n"
	    "f.conf:2: forwarders: x is not a server; accepted: "
	    "ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53\n"
	    "f.conf:2: forwarders: 192.0.2.1@ is not a server; "
	    "accepted: ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53\n"
	    "f.conf:2: forwarders: 192.0.2.1@70000 is not a server; "
	    "accepted: ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53\n" },
	{ "stub-zones = { \"test 127.0.0.1@5353\", \". ::1\", test, "
	    "\"te_st ::1\" }",
	    "f.conf:2: stub-zones: \"test\" is not a zone and its "
	    "server; accepted: \"ZONE ADDRESS\" or \"ZONE ADDRESS@PORT\"\n"
	    "f.conf:2: stub-zones: \"te_st ::1\" is not a zone and its "
	    "server; accepted: \"ZONE ADDRESS\" or \"ZONE ADDRESS@PORT\"\n" },
	{ "users-prefix = Post",
	    "f.conf:2: users-prefix = Post cannot begin a user's name; "
	    "accepted: lower-case letters, digits, '_' and '-', a "
	    "letter first, at most 20\n" },
	{ "mail-user = 0x",
	    "f.conf:2: mail-user = 0x is not a user's name; accepted: "
	    "lower-case letters, digits, '_' and '-', a letter first\n" },
	{ "control-group = \"a b\"",
	    "f.conf:2: control-group = a b is not a group's name; "
	    "accepted: lower-case letters, digits, '_' and '-', a "
	    "letter first\n" },
	{ "control-socket = "
	    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "f.conf:2: control-socket "
	    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	    "is longer than the 107 bytes the system allows; give a "
	    "shorter one\n" },
	{ "queue-directory = /var/lib/postern",
	    "f.conf:2: queue-directory /var/lib/postern is also "
	    "another directory; the queue needs one of its own\n" },
};

/* Users, addresses, listeners and routes of servers for people. */
static const struct row bad_people[] = {
	{ "auth-mechanisms = { PLAIN, CRAM-MD5 }",
	    "f.conf:2: auth-mechanisms: 'CRAM-MD5' is not offered here; "
	    "accepted: SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN, "
	    "EXTERNAL\n" },
	{ "recipient-delimiter = \"++\"",
	    "f.conf:2: recipient-delimiter = '++' cannot stand in a local "
	    "part as one; accepted: one character of !#$%&'*+-/=?^_`{|}~, or "
	    "nothing\n" },
	{ "recipient-delimiter = \"@\"",
	    "f.conf:2: recipient-delimiter = '@' cannot stand in a local "
	    "part as one; accepted: one character of !#$%&'*+-/=?^_`{|}~, or "
	    "nothing\n" },
	{ "srs-domain = a.example srs-secret-file = /s",
	    "f.conf:2: srs-domain = a.example is not one of our domains, so "
	    "what comes back to it would be refused; add a section domain "
	    "a.example { ... }\n" },
	{ "srs-secret-file = /s",
	    "f.conf:2: srs-domain and srs-secret-file need each other; give "
	    "both or none\n" },
	{ "hello-ipv4 = 192.0.2.1",
	    "f.conf:2: hello-ipv4 = 192.0.2.1 is not a host name; accepted: "
	    "a domain name such as out.example.org\n" },

	/* listeners */
	{ "listen submissions { }",
	    "f.conf:2: listen submissions: tls = implicit, but there is no "
	    "certificate; add a section certificate NAME { chain = ... key = "
	    "... }\n" },
	{ "certificate c { chain = /c key = /k }\n"
	    "listen smtp { tls = implicit }",
	    "f.conf:3: listen smtp: tls = implicit, but on port 25 everybody "
	    "begins in clear; give the port, such as 465\n" },
	{ "listen x { port = 26 tls = none auth = yes "
	    "client-certificates = yes }",
	    "f.conf:2: listen x: auth = yes, but nobody logs in without TLS "
	    "and tls = none; remove one of them\n"
	    "f.conf:2: listen x: client-certificates = yes, but tls = none; "
	    "remove one of them\n" },
	{ "certificate c { chain = /c key = /k }\n"
	    "listen x { certificates = { c, d } }",
	    "f.conf:3: listen x: there is no certificate section d; "
	    "accepted: names of such sections\n" },
	{ "listen lmtp { port = 25 }",
	    "f.conf:2: listen lmtp: LMTP must not be spoken on port 25 (RFC "
	    "2033 5); give another one\n" },
	{ "certificate c { chain = /c key = /k }\n"
	    "listen submission { auth = no relay = authenticated }",
	    "f.conf:3: listen submission: nobody can send here, since neither "
	    "AUTH nor certificates are asked for; remove auth = no or relay "
	    "= authenticated\n" },
	{ "certificate c { chain = /c key = /k }\n"
	    "listen mta-sts { tls = offer relay = any }",
	    "f.conf:3: listen mta-sts: policies are served by HTTPS; remove "
	    "tls\n"
	    "f.conf:3: listen mta-sts: relay is for mail, and service = "
	    "mta-sts takes none; remove it\n" },
	{ "listen lmtp { socket = /run/l port = 24 }",
	    "f.conf:2: listen lmtp: port means nothing for a Unix socket; "
	    "remove it or socket\n" },
	{ "listen a { socket = /run/l } listen b { socket = /run/l }",
	    "f.conf:2: listen b: another listen section has the same socket; "
	    "give it another path\n" },
	{ "listen a { proxy-from = 0.0.0.0/0 }",
	    "f.conf:2: listen a: proxy-from has the whole Internet in it, so "
	    "anybody could say who he is; name the load balancers\n" },
	{ "listen local { }",
	    "f.conf:2: listen local: this name is taken by local-socket; "
	    "choose another one\n" },

	/* domains */
	{ "domain a.x { users = u relay = yes quota = 1M }",
	    "f.conf:2: domain a.x: quota is for mail that is kept, and relay "
	    "= yes sends it on; remove one of them\n" },
	{ "domain a.x { catch-all = bob }",
	    "f.conf:2: domain a.x: catch-all = bob is not an address; "
	    "accepted: LOCAL-PART@DOMAIN\n" },
	{ "domain a.x { users = u mta-sts-mx = { \"*.*.x\" } }",
	    "f.conf:2: domain a.x: mta-sts-mx: '*.*.x' is not a mail host; "
	    "accepted: such as mx.example.org, \"*.example.org\"\n" },

	/* routes */
	{ "route a.x { host = b.c credentials-file = /p }",
	    "f.conf:2: route a.x: a password is said to an authenticated host "
	    "only, so credentials-file needs level = secure (or verify, "
	    "fingerprint, dane-only) beside it\n" },
	{ "route a.x { host = b.c credentials-file = /p level = encrypt }",
	    "f.conf:2: route a.x: a password is said to an authenticated host "
	    "only, so credentials-file needs level = secure (or verify, "
	    "fingerprint, dane-only) beside it\n" },
	{ "route a.x { credentials-file = /p level = secure }",
	    "f.conf:2: route a.x: credentials-file is for one host; give host "
	    "= and its name\n" },
	{ "route a.x { certificate = c }",
	    "f.conf:2: route a.x: there is no certificate section c; "
	    "accepted: the name of one\n" },
	{ "route a.x { level = fingerprint }",
	    "f.conf:2: route a.x: level = fingerprint and fingerprints need "
	    "each other; give both or none\n" },
	{ "route a.x { level = dane names = b.c }",
	    "f.conf:2: route a.x: names are for the levels verify and secure; "
	    "set the level or remove them\n" },
	{ "route a.x { transport = lmtp }",
	    "f.conf:2: route a.x: transport = lmtp needs socket = PATH, or "
	    "host and port\n" },
	{ "route a.x { transport = lmtp host = b.c }",
	    "f.conf:2: route a.x: LMTP must not be spoken on port 25 (RFC "
	    "2033 5); give the port of the LMTP server, such as 24\n" },
	{ "route a.x { transport = lmtp socket = /s host = b.c mx = yes }",
	    "f.conf:2: route a.x: mx is not for transport = lmtp; remove one "
	    "of them\n"
	    "f.conf:2: route a.x: host is not for a Unix socket; remove one "
	    "of them\n" },
	{ "route a.x { socket = /s }",
	    "f.conf:2: route a.x: socket is for transport = lmtp; remove one "
	    "of them\n" },
};

static const struct row bad_sections[] = {
	{ "listen a { port = 70000 }",
	    "f.conf:2: port = 70000 is out of range; accepted: 1 to "
	    "65535\n" },
	{ "listen a { tls = require }",
	    "f.conf:2: listen a: tls = require, but there is no "
	    "certificate; add a section certificate NAME { chain = ... "
	    "key = ... }\n" },
	{ "listen a { } listen b { addresses = 127.0.0.1 }",
	    "f.conf:2: listen b: address 127.0.0.1 with port 25 "
	    "collides with address 0.0.0.0 of listen a; give one of "
	    "them another port or address\n" },
	{ "listen a { addresses = \"::1\" } listen b { addresses = "
	    "\"::\" }",
	    "f.conf:2: listen b: address :: with port 25 collides with "
	    "address ::1 of listen a; give one of them another port or "
	    "address\n" },
	{ "listen a { addresses = { 127.0.0.1, 127.0.0.1 } }",
	    "f.conf:2: listen a: address 127.0.0.1 with port 25 "
	    "collides with address 127.0.0.1 of listen a; give one of "
	    "them another port or address\n" },
	{ "listen \"a b\" { addresses = mx.example.org }",
	    "f.conf:2: listen 'a b': not a name; accepted: letters, "
	    "digits, '.', '_' and '-'\n"
	    "f.conf:2: listen a b: mx.example.org is not an address; "
	    "accepted: such as 192.0.2.1, 0.0.0.0 or \"::\"\n" },
	{ "certificate a { chain = /x }\n"
	    "certificate b { key = /x }",
	    "f.conf:2: certificate a has no key; accepted: a path that "
	    "begins with /\n"
	    "f.conf:3: certificate b has no chain; accepted: a path "
	    "that begins with /\n" },
	{ "certificate \"\" { chain = /x key = /y }",
	    "f.conf:2: certificate '': not a name; accepted: letters, "
	    "digits, '.', '_' and '-'\n" },
	{ "domain a.b { }",
	    "f.conf:2: domain a.b has no users; give it users = { "
	    "NAME, NAME }, users-file = PATH, or users = \"*\" for "
	    "everybody\n" },
	{ "domain a_b { users = x }",
	    "f.conf:2: domain 'a_b' is not a domain name; accepted: "
	    "letters, digits and hyphens between dots, such as "
	    "example.org; other scripts, too\n" },
	{ "domain 192.0.2.1 { users = x }",
	    "f.conf:2: domain '192.0.2.1' is not a domain name; "
	    "accepted: letters, digits and hyphens between dots, such "
	    "as example.org; other scripts, too\n" },
	{ "domain \"\" { users = x }",
	    "f.conf:2: domain '' is not a domain name; accepted: "
	    "letters, digits and hyphens between dots, such as "
	    "example.org; other scripts, too\n" },
	{ "domain a.b { users = { \"a@b\", \"a b\", \"\\\"a b\\\"\" } }",
	    "f.conf:2: domain a.b: user 'a@b' is not a local part; "
	    "accepted: what stands left of the @ in an address\n"
	    "f.conf:2: domain a.b: user 'a b' is not a local part; "
	    "accepted: what stands left of the @ in an address\n" },
	{ "mail-directory = /m/\n"
	    "domain a.b { users = x maildir = /mm/a }\n"
	    "domain b.b { users = x maildir = /m/../a }\n"
	    "domain c.b { users = x maildir = /m/ }\n"
	    "domain d.b { users = x maildir = /m/a/b }",
	    "f.conf:3: domain a.b: maildir = /mm/a is not below "
	    "mail-directory, /m/; accepted: a path below it, or "
	    "another mail-directory\n"
	    "f.conf:4: domain b.b: maildir = /m/../a is not below "
	    "mail-directory, /m/; accepted: a path below it, or "
	    "another mail-directory\n"
	    "f.conf:5: domain c.b: maildir = /m/ is not below "
	    "mail-directory, /m/; accepted: a path below it, or "
	    "another mail-directory\n" },
	{ "route .x { } route a.x { } route .x. { } route X.y { }\n"
	    "route x.Y { }",
	    "f.conf:2: route '.x.' is not a pattern; accepted: a "
	    "domain name, \".DOMAIN\" for all names below it, "
	    "\"[ADDRESS]\" or \"*\"\n"
	    "f.conf:3: route x.y is never used, because route x.y in "
	    "line 2 matches first; remove it or move it up\n" },
	{ "route a.x { host = x_y }",
	    "f.conf:2: route a.x: host = x_y is neither a host name "
	    "nor an address; accepted: such as mx.example.org, "
	    "192.0.2.1, \"2001:db8::1\"\n" },
	{ "route a.x { host = 192.0.2 }",
	    "f.conf:2: route a.x: host = 192.0.2 is neither a host "
	    "name nor an address; accepted: such as mx.example.org, "
	    "192.0.2.1, \"2001:db8::1\"\n" },
	{ "route a.x { host = 192.0.2.1 mx = yes }",
	    "f.conf:2: route a.x: mx = yes, but an address has no MX "
	    "records; write mx = no or remove it\n" },
	{ "route a.x { transport = discard\n"
	    "host = b.c\n"
	    "port = 26 }",
	    "f.conf:3: route a.x: host is for transport = smtp or "
	    "lmtp; remove one of them\n"
	    "f.conf:4: route a.x: port is for transport = smtp or "
	    "lmtp; remove one of them\n" },
	{ "route a.x { transport = maildir }",
	    "f.conf:2: route a.x: transport = maildir is for our own "
	    "domains; add a section domain a.x { ... } without relay = "
	    "yes, or take another transport\n" },
	{ "destination a.x { level = dance }",
	    "f.conf:2: level = dance is not one of the words; accepted: "
	    "auto, none, may, encrypt, dane, dane-only, sts, strict, verify, "
	    "secure or fingerprint\n" },
	{ "destination a.x { level = verify\n"
	    "insecure-mx = may\n"
	    "sts-with-dane = both }",
	    "f.conf:3: destination a.x: insecure-mx means nothing at level "
	    "verify; set the level or remove it\n"
	    "f.conf:4: destination a.x: sts-with-dane means nothing at level "
	    "verify; set the level or remove it\n" },
	{ "trust-anchor-file = \"\"\n"
	    "destination a.x { level = dane-only }",
	    "f.conf:3: destination a.x: level = dane-only needs validated "
	    "DNS, and trust-anchor-file is empty; remove one of them\n" },
	{ "destination a.x { level = dane-only\n"
	    "insecure-mx = may }",
	    "f.conf:3: destination a.x: insecure-mx means nothing at level "
	    "dane-only; set the level or remove it\n" },
	{ "route a.x { host = b.c tls = implicit }",
	    "f.conf:2: route a.x: tls = implicit, but port 25 begins in "
	    "clear; give the port, such as 465\n" },
	{ "destination a.x { level = fingerprint }",
	    "f.conf:2: destination a.x: level = fingerprint needs "
	    "fingerprints; give SHA-256 digests of the certificate or "
	    "its key\n" },
	{ "destination a.x { level = fingerprint fingerprints = { "
	    "00:11 } }",
	    "f.conf:2: fingerprints = 00:11 is not a fingerprint; "
	    "accepted: SHA-256 digests: 64 hexadecimal digits, colons "
	    "between pairs if you like\n" },
	{ "destination a.x { fingerprints = "
	    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 "
	    "}",
	    "f.conf:2: destination a.x: fingerprints are for level = "
	    "fingerprint, this one is auto; set the level or remove "
	    "them\n" },
	{ "destination a.x { names = a.b }",
	    "f.conf:2: destination a.x: names are for the levels "
	    "verify and secure, this one is auto; set the level or "
	    "remove them\n" },
	{ "destination a.x { level = verify names = { a.b, .c.d, "
	    "192.0.2.1 } }",
	    "f.conf:2: destination a.x: '192.0.2.1' is not a name a "
	    "certificate can show; accepted: a domain name, or "
	    "\".DOMAIN\" for all names below it\n" },
	{ "destination a.x { level = encrypt\n"
	    "no-starttls = defer\n"
	    "broken-tls = clear }",
	    "f.conf:3: destination a.x: no-starttls is for the levels auto, "
	    "dane and may, this one is encrypt, which never falls back; set "
	    "the level or remove it\n"
	    "f.conf:4: destination a.x: broken-tls is for the levels auto, "
	    "dane and may, this one is encrypt, which never falls back; set "
	    "the level or remove it\n" },
	{ "destination a.x { broken-tls = clear-after }",
	    "f.conf:2: broken-tls = clear-after is not one of the "
	    "words; accepted: clear, defer or \"clear-after T\" with T "
	    "from 1s to 100d\n" },
	{ "destination a.x { broken-tls = \"clear-after\" }",
	    "f.conf:2: broken-tls = clear-after is not one of the "
	    "words; accepted: clear, defer or \"clear-after T\" with T "
	    "from 1s to 100d\n" },
	{ "destination a.x { broken-tls = \"clear-after 6d\" }",
	    "f.conf:2: destination a.x: broken-tls waits as long as "
	    "message-expiry or longer, so nothing would be sent; "
	    "accepted: a shorter time, or defer\n" },
	{ "destination a.x { broken-tls = \"clear-after 1000d\" }",
	    "f.conf:2: broken-tls = \"clear-after 1000d\" is not one of "
	    "the words; accepted: clear, defer or \"clear-after T\" with "
	    "T from 1s to 100d\n" },
	{ "destination a.x { level = may\n"
	    "memory = defer }\n"
	    "destination b.x { level = verify memory = observe }\n"
	    "destination c.x { level = none memory = defer }",
	    "f.conf:3: destination a.x: memory means nothing at level may; "
	    "set the level or remove it\n"
	    "f.conf:4: destination b.x: memory means nothing at level "
	    "verify; set the level or remove it\n"
	    "f.conf:5: destination c.x: memory means nothing at level none; "
	    "set the level or remove it\n" },
	{ "memory-observations = 0 memory-age = 10m",
	    "f.conf:2: memory-observations = 0 is out of range; accepted: 1 "
	    "to 10000\n"
	    "f.conf:2: memory-age = 10m is out of range; accepted: 1h to "
	    "3650d, in seconds or with s, m, h or d\n" },
	{ "tls-required-no = no",
	    "f.conf:2: tls-required-no = no is not one of the words; "
	    "accepted: everybody, relay or nobody\n" },
	{ "destination a_x { }",
	    "f.conf:2: destination 'a_x' is not a pattern; accepted: a "
	    "domain name, \".DOMAIN\" for all names below it, "
	    "\"[ADDRESS]\" or \"*\"\n" },
};

/* Milters, lists of clients, limits, who mail is from. */
static const struct row bad_filters[] = {
	{ "milter a { }",
	    "f.conf:2: milter a: it is nowhere; give socket = PATH, or host "
	    "and port\n" },
	{ "milter a { socket = /s\n"
	    "host = 127.0.0.1 port = 1 }",
	    "f.conf:3: milter a: socket and host are two places; remove one "
	    "of them\n" },
	{ "milter a { socket = /s\n"
	    "port = 1 }",
	    "f.conf:3: milter a: port is for a host; give one or remove "
	    "it\n" },
	{ "milter a {\nhost = \"::1\" }",
	    "f.conf:3: milter a: host needs a port beside it; give port =\n" },
	{ "milter a { port = 1\n"
	    "host = localhost }",
	    "f.conf:3: milter a: host = localhost is not an address; "
	    "accepted: such as 127.0.0.1 and \"::1\"\n" },
	{ "milter \"a b\" { socket = /s }",
	    "f.conf:2: milter 'a b': not a name; accepted: letters, digits, "
	    "'.', '_' and '-'\n" },
	{ "milter a { socket = "
	    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }",
	    "f.conf:2: socket "
	    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is "
	    "longer than the 107 bytes the system allows; give a shorter "
	    "one\n" },
	{ "milter a { socket = /s }\n"
	    "milters = { a, b, A }",
	    "f.conf:3: milters: there is no milter section b; accepted: "
	    "names of such sections\n"
	    "f.conf:3: milters: A is there twice; remove one of them\n" },
	{ "milter a { socket = /s }\n"
	    "listen x {\nmilters = { b, a } }",
	    "f.conf:4: listen x: milters: there is no milter section b; "
	    "accepted: names of such sections\n" },
	{ "certificate c { chain = /c key = /k }\n"
	    "milter a { socket = /s } listen mta-sts { milters = a }",
	    "f.conf:3: listen mta-sts: milters is for mail, and service = "
	    "mta-sts takes none; remove it\n" },
	{ "authserv-id = \"mx example\"",
	    "f.conf:2: authserv-id = mx example cannot stand in "
	    "Authentication-Results; accepted: a word such as "
	    "mx.example.org\n" },
	{ "authserv-id = \"mx;example\"",
	    "f.conf:2: authserv-id = mx;example cannot stand in "
	    "Authentication-Results; accepted: a word such as "
	    "mx.example.org\n" },
	{ "dnsbl = { \"bl.example 127.0.0.2-127.0.0.11,127.0.0.20\", "
	    "bl_x }",
	    "f.conf:2: dnsbl: \"bl_x\" is not a list; accepted: ZONE, or "
	    "\"ZONE ANSWERS\" with addresses of 127.0.0.0/8 and ranges of "
	    "them by commas, such as \"bl.example "
	    "127.0.0.2-127.0.0.11,127.0.0.20\"\n" },
	{ "dnswl = \"wl.example 127.0.0.9-127.0.0.2\" greylist = on",
	    "f.conf:2: dnswl: \"wl.example 127.0.0.9-127.0.0.2\" is not a "
	    "list; accepted: ZONE, or \"ZONE ANSWERS\" with addresses of "
	    "127.0.0.0/8 and ranges of them by commas, such as \"bl.example "
	    "127.0.0.2-127.0.0.11,127.0.0.20\"\n" },
	{ "dnsbl = { a.a, b.a, c.a, d.a, e.a, f.a, g.a, h.a, i.a, j.a, k.a, "
	    "l.a, m.a, n.a, o.a, p.a, q.a }",
	    "f.conf:2: dnsbl has more than 16 lists; remove some\n" },
	{ "greylist-delay = 5m\n"
	    "greylist-window = 5m",
	    "f.conf:3: greylist-window is not longer than greylist-delay, so "
	    "nobody could come again in time; accepted: greylist-delay < "
	    "greylist-window\n" },
	{ "connection-rate = 60",
	    "f.conf:2: connection-rate = 60 is not a rate; accepted: off, or "
	    "\"N/TIME\", or \"N/TIME warn\", with N from 1 to 1000000 and "
	    "TIME from 1s to 31d\n" },
	{ "message-rate = \"1/32d\" user-rate = \"0/1h\" "
	    "sender-rate = \"1/1h wran\"",
	    "f.conf:2: message-rate = 1/32d is not a rate; accepted: off, or "
	    "\"N/TIME\", or \"N/TIME warn\", with N from 1 to 1000000 and "
	    "TIME from 1s to 31d\n"
	    "f.conf:2: user-rate = 0/1h is not a rate; accepted: off, or "
	    "\"N/TIME\", or \"N/TIME warn\", with N from 1 to 1000000 and "
	    "TIME from 1s to 31d\n"
	    "f.conf:2: sender-rate = \"1/1h wran\" is not a rate; accepted: "
	    "off, or \"N/TIME\", or \"N/TIME warn\", with N from 1 to "
	    "1000000 and TIME from 1s to 31d\n" },
};

/* DANE-57, STS-21: what cannot be a name, with its line and the reason; and
 * two spellings of one name are one name. */
static const struct row bad_names[] = {
	{ "domain bü_cher.example { users = x }",
	    "f.conf:2: domain 'bü_cher.example': it is not a domain name: "
	    "labels of letters, digits and hyphens, 63 bytes at most, stand "
	    "between single dots; accepted: a name such as example.org, in "
	    "any script, or its xn-- form\n" },
	{ "route .a {\nhost = ☃.example }\n"
	    "destination .☃.example { }",
	    "f.conf:3: route: host = '☃.example': a character in it cannot "
	    "stand in a domain name (IDNA2008); accepted: a name such as "
	    "example.org, in any script, or its xn-- form\n"
	    "f.conf:4: destination '.☃.example': a character in it cannot "
	    "stand in a domain name (IDNA2008); accepted: a name such as "
	    "example.org, in any script, or its xn-- form\n" },
	{ "postmaster = a@\xff.example",
	    "f.conf:2: postmaster = 'a@\xff.example': it is not UTF-8; "
	    "accepted: a name such as example.org, in any script, or its "
	    "xn-- form\n" },
	{ "domain bücher.example { users = x }\n"
	    "domain xn--bcher-kva.example { users = x }",
	    "f.conf:3: domain xn--bcher-kva.example is there twice, first in "
	    "line 2; put all its options into one\n" },
	{ "destination .example { }\n"
	    "route xn--bcher-kva.example { } route BÜCHER.example { }",
	    "f.conf:3: route xn--bcher-kva.example is never used, because "
	    "route xn--bcher-kva.example in line 3 matches first; remove it "
	    "or move it up\n" },
};

/* These stand alone. */
static const struct row bad_hosts[] = {
	{ "hostname = mx",
	    "f.conf:1: hostname = mx is not fully qualified; accepted: "
	    "a domain name such as mx.example.org\n" },
	{ "hostname = 192.0.2.1",
	    "f.conf:1: hostname = 192.0.2.1 is not fully qualified; "
	    "accepted: a domain name such as mx.example.org\n" },
	{ "hostname = \"mx.example.org x\"",
	    "f.conf:1: hostname = mx.example.org x is not fully "
	    "qualified; accepted: a domain name such as mx.example.org\n" },
	{ "hostname = mx.example.123",
	    "f.conf:1: hostname = mx.example.123 is not fully "
	    "qualified; accepted: a domain name such as mx.example.org\n" },
};

/* Accepted, with a word of advice, or with none. */
static const struct row advised[] = {
	{ "",
	    "f.conf: there is no certificate, so STARTTLS is not "
	    "offered to those who send us mail; add a section "
	    "certificate NAME { chain = ... key = ... }\n"
	    "f.conf: there is no domain section, so mail is accepted "
	    "from the networks in relay-from only\n" },
	{ "domain a.b { users = { \"*\", x } }\n"
	    "certificate c { chain = /c key = /k }",
	    "f.conf:2: domain a.b: \"*\" takes everybody, so its other "
	    "users mean nothing\n" },
	{ "listen a { tls = none }\n"
	    "domain a.b { users = x }",
	    "" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x }\n"
	    "destination a.x { level = none }",
	    "f.conf:3: destination a.x: level = none sends in clear "
	    "even where TLS is offered, and overrides what the "
	    "destination publishes\n" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x }\n"
	    "route a.x { host = b.c port = 465 }",
	    "f.conf:3: route a.x: port 465 begins with TLS; write tls = "
	    "implicit\n" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x }\n"
	    "destination a.x { no-starttls = defer broken-tls = clear }",
	    "f.conf:3: destination a.x: broken-tls = clear makes "
	    "no-starttls worth little: who can hide STARTTLS can as "
	    "well break it\n" },
	{ "listen a { tls = none } requiretls = yes\n"
	    "domain a.b { users = x }",
	    "f.conf:2: requiretls = yes, but REQUIRETLS is offered under TLS "
	    "only and there is no certificate; add a section certificate NAME "
	    "{ chain = ... key = ... }\n" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x } requiretls = yes\n"
	    "destination a.x { level = strict memory = defer }\n"
	    "destination b.x { level = dane memory = defer }\n"
	    "destination c.x { level = encrypt memory = warn }",
	    "f.conf:3: destination a.x: memory = defer adds nothing at level "
	    "strict, which never sends in clear; it still tells of records "
	    "and policies that vanish, as warn does\n" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x }\n"
	    "route \"*\" { }\n"
	    "route a.x { }",
	    "f.conf:4: route a.x is never used, because route * in "
	    "line 3 matches first; remove it or move it up\n" },
	{ "certificate c { chain = /c key = /k } domain a.b { users "
	    "= x }\n"
	    "destination .x { } destination a.x { } destination "
	    "\"*.a.x\" { } destination x { }",
	    "f.conf:3: destination a.x is never used, because "
	    "destination .x in line 3 matches first; remove it or move "
	    "it up\n"
	    "f.conf:3: destination *.a.x is never used, because "
	    "destination .x in line 3 matches first; remove it or move "
	    "it up\n" },
};

/* The same of filters and limits, behind what needs no advice. */
static const struct row advised_filters[] = {
	{ "milter a { socket = /s } milter b { host = 127.0.0.2 port = 1 }\n"
	    "milter c { host = \"::1\" port = 1 } milter d { socket = /d }\n"
	    "milters = a listen x { tls = none milters = { B, c } }",
	    "f.conf:4: milter d is never asked; name it in milters\n" },
	{ "milter a { host = 192.0.2.1 port = 1 } milters = a\n"
	    "listen x { tls = none milters = { } }",
	    "f.conf:3: milter a: mail goes to 192.0.2.1 in clear; let a "
	    "tunnel lead there\n" },
	{ "spf = enforce dmarc = enforce",
	    "f.conf:3: spf = enforce refuses mail before DMARC could see that "
	    "its DKIM signature is good (RFC 7489 10.1); spf = observe leaves "
	    "it to dmarc\n" },
	{ "spf = enforce dkim-verify = yes", "" },
	{ "dnswl = wl.example",
	    "f.conf:3: dnswl spares clients dnsbl, reverse-name and greylist, "
	    "and all of them are off\n" },
	{ "dnswl = wl.example reverse-name = warn", "" },
	{ "deny-from = { 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/48 }\n"
	    "allow-from = { 192.0.2.1, 198.51.0.0/16, 2001:db8:1::/48 }",
	    "f.conf:3: deny-from: network 2 of it is never refused, because "
	    "network 2 of allow-from has all of it\n" },
	{ "tarpit = 5s tarpit-after = 20 max-errors = 20",
	    "f.conf:3: tarpit-after is never reached: max-errors ends a "
	    "session before that\n" },
	{ "connection-rate = \"20/1h\" network-connection-rate = "
	    "\"10/60m\" recipient-rate = \"20/1h\" network-recipient-rate "
	    "= \"10/1m\"",
	    "f.conf:3: network-connection-rate is less than one of its "
	    "clients may have alone, so that limit is never reached\n" },
};

static struct conf *read_text(const char *before, const char *text,
    char **errors)
{
	char *whole = mem_print("%s%s", before, text);
	struct conf *conf = conf_read("f.conf", whole, errors);

	mem_free(whole);
	return conf;
}

static void check_rows(const char *before, const struct row *rows,
    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *errors = NULL;
		struct conf *conf = read_text(before, rows[i].text, &errors);

		if (conf != NULL)
			fail_msg("accepted: %s", rows[i].text);
		assert_string_equal(errors, rows[i].lines);
		mem_free(errors);
	}
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_top(void **state)
{
	(void)state;
	check_rows(first_line, bad_top, COUNT(bad_top));
}

static void test_sections(void **state)
{
	(void)state;
	check_rows(first_line, bad_sections, COUNT(bad_sections));
}

static void test_people(void **state)
{
	(void)state;
	check_rows(first_line, bad_people, COUNT(bad_people));
}

static void test_filters(void **state)
{
	(void)state;
	check_rows(first_line, bad_filters, COUNT(bad_filters));
}

static void test_names(void **state)
{
	(void)state;
	check_rows(first_line, bad_names, COUNT(bad_names));
}

/* Wherever a name stands: what the roles see is A-labels. */
static void test_international(void **state)
{
	static const char text[] = "hostname = MX.BÜCHER.example\n"
	    "postmaster = Info@bücher.example\n"
	    "domain bücher.example { users = x }\n"
	    "route .bücher.example { host = \"relay.straße.example\" }\n"
	    "destination \"*.bücher.example\" { level = verify\n"
	    "names = { \".bücher.example\", a.example } }";
	char *errors = NULL;
	struct conf *conf = read_text("", text, &errors);

	(void)state;
	if (conf == NULL)
		fail_msg("refused: %s", errors);
	assert_string_equal(conf->hostname, "mx.xn--bcher-kva.example");
	assert_string_equal(conf->postmaster, "Info@xn--bcher-kva.example");
	assert_string_equal(conf->domains[0].name, "xn--bcher-kva.example");
	assert_non_null(strstr(conf->domains[0].maildir,
	    "/xn--bcher-kva.example"));
	assert_string_equal(conf->routes[0].pattern,
	    ".xn--bcher-kva.example");
	assert_string_equal(conf->routes[0].host,
	    "relay.xn--strae-oqa.example");
	assert_ptr_equal(conf_destination_find(conf,
	    "a.xn--bcher-kva.example"), &conf->destinations[0]);
	assert_string_equal(conf->destinations[0].names.items[0],
	    ".xn--bcher-kva.example");
	assert_string_equal(conf->destinations[0].names.items[1],
	    "a.example");
	conf_free(conf);
}

static void test_hosts(void **state)
{
	(void)state;
	check_rows("", bad_hosts, COUNT(bad_hosts));
}

static void check_advice(const char *before, const struct row *rows,
    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *errors = NULL;
		struct conf *conf = read_text(before, rows[i].text, &errors);

		if (conf == NULL)
			fail_msg("refused: %s", errors);
		assert_string_equal(conf->warnings != NULL ? conf->warnings :
		    "", rows[i].lines);
		conf_free(conf);
	}
}

static void test_advice(void **state)
{
	(void)state;
	check_advice(first_line, advised, COUNT(advised));
	check_advice("hostname = mx.example.org certificate c { chain = /c "
	    "key = /k }\ndomain a.b { users = x }\n", advised_filters,
	    COUNT(advised_filters));
}

/* The name of the machine stands in for hostname if it is fit for that. */
static void test_machine_name(void **state)
{
	char name[256] = "", *errors = NULL, *expected;
	struct conf *conf;

	(void)state;
	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	conf = conf_read("f.conf", "", &errors);
	if (conf != NULL) {
		assert_non_null(strchr(name, '.'));
		assert_int_equal(strcasecmp(conf->hostname, name), 0);
		conf_free(conf);
		return;
	}
	expected = mem_print("f.conf: hostname is not given, and the name of "
	    "the machine, '%s', is not fully qualified; write hostname = and "
	    "a name such as mx.example.org\n", name);
	assert_string_equal(errors, expected);
	mem_free(expected);
	mem_free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_people),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_international),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_machine_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
