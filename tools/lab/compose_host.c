/* SPDX-License-Identifier: ISC */
/*
 * Parts: certificates; what a host does, and what is in the path to it; what
 * the administrator demands. A host has one trouble of its connection at most,
 * the first that comes.
 */
#include "tools/lab/compose_private.h"

#include <stdio.h>

#include "base/arena.h"

/* --- certificates --- */

enum certificate_form { CERTIFICATE_COMMON_NAME, CERTIFICATE_NAME_BESIDE,
    CERTIFICATE_WILDCARD, CERTIFICATE_WILDCARD_PART, CERTIFICATE_WILDCARD_DEEP,
    CERTIFICATE_CAPITALS, CERTIFICATE_DOMAIN, CERTIFICATE_OTHER_NAME,
    CERTIFICATE_NO_NAME, CERTIFICATE_ADDRESS };

/* Names are known once it is built: "%h" the host's, "%p" its parent zone,
 * "%u" the host's in capitals; see plan_name(). */
static void set_names(struct plan *plan, struct lab_certificate *certificate,
    const char *name)
{
	certificate->names = (struct lab_texts){ NULL, 0 };
	if (name != NULL)
		texts_add(plan, &certificate->names, "%s", name);
}

static void apply_names(struct plan *plan, struct host_plan *host, int form)
{
	static const char *const forms[] = {
		[CERTIFICATE_COMMON_NAME] = NULL,
		[CERTIFICATE_NAME_BESIDE] = "www.example.com",
		[CERTIFICATE_WILDCARD] = "*.%p",
		[CERTIFICATE_WILDCARD_PART] = "m*.%p",
		[CERTIFICATE_WILDCARD_DEEP] = "*.*.%p",
		[CERTIFICATE_CAPITALS] = "%u",
		[CERTIFICATE_DOMAIN] = "example.net",
		[CERTIFICATE_OTHER_NAME] = "mail.example.com",
		[CERTIFICATE_NO_NAME] = NULL,
		[CERTIFICATE_ADDRESS] = NULL,
	};
	struct lab_certificate *certificate = host->certificate;

	set_names(plan, certificate, forms[form]);
	if (form == CERTIFICATE_COMMON_NAME ||
	    form == CERTIFICATE_NAME_BESIDE)
		certificate->common_name = arena_dup_string(plan->arena,
		    "%h");
	if (form == CERTIFICATE_NO_NAME)
		certificate->organization = arena_dup_string(plan->arena,
		    "Sample only");
	if (form == CERTIFICATE_ADDRESS)
		texts_add(plan, &certificate->addresses, "%s",
		    host->host.addresses.items[0]);
}

static void apply_issuer(struct plan *plan, struct host_plan *host, int form)
{
	(void)plan;
	host->certificate->issuer = (enum lab_issuer)form;
}

static void apply_dates(struct plan *plan, struct host_plan *host, int form)
{
	(void)plan;
	host->certificate->validity = (enum lab_validity)form;
}

static void apply_usage(struct plan *plan, struct host_plan *host, int form)
{
	(void)plan;
	host->certificate->usage = (enum lab_usage)form;
}

static void apply_chain(struct plan *plan, struct host_plan *host, int form)
{
	struct lab_certificate *certificate = host->certificate;

	certificate->chain = (enum lab_chain)form;
	if (form == LAB_CHAIN_NO_ROOT)
		certificate->issuer = LAB_ISSUER_PRIVATE;
	else if (certificate->issuer == LAB_ISSUER_SELF)
		certificate->issuer = LAB_ISSUER_CA;
	if (certificate->intermediates == 0)
		certificate->intermediates = 1 + plan_below(plan, 3);
}

static void apply_issuer_dates(struct plan *plan, struct host_plan *host,
    int form)
{
	apply_chain(plan, host, LAB_CHAIN_FULL);
	host->certificate->issuer_validity = (enum lab_validity)form;
}

static void apply_no_authority(struct plan *plan, struct host_plan *host,
    int form)
{
	(void)form;
	apply_chain(plan, host, LAB_CHAIN_FULL);
	host->certificate->issuer_authority = false;
}

static void apply_key(struct plan *plan, struct host_plan *host, int form)
{
	(void)plan;
	host->certificate->key = (enum lab_key)form;
}

static void apply_digest(struct plan *plan, struct host_plan *host, int form)
{
	(void)plan;
	host->certificate->digest = (enum lab_digest)form;
}

/* One part may have taken away what another one is about. */
void plan_settle(struct host_plan *host)
{
	struct lab_certificate *certificate = host->certificate;

	if (certificate->issuer == LAB_ISSUER_SELF) {
		certificate->intermediates = 0;
		certificate->chain = LAB_CHAIN_FULL;
		if (certificate->digest == LAB_DIGEST_MD5)
			certificate->key = LAB_KEY_RSA2048;
		else if (certificate->key == LAB_KEY_ED25519)
			certificate->digest = LAB_DIGEST_SHA256;
	}
	if (certificate->chain == LAB_CHAIN_NO_ROOT &&
	    certificate->issuer != LAB_ISSUER_PRIVATE)
		certificate->chain = LAB_CHAIN_FULL;
	if ((certificate->chain == LAB_CHAIN_REVERSED ||
	    certificate->chain == LAB_CHAIN_GAP) &&
	    certificate->intermediates < 2)
		certificate->intermediates = 2;
	if (certificate->intermediates == 0) {
		certificate->issuer_validity = LAB_VALID;
		certificate->issuer_authority = true;
	}
}

#define SHOWN(word, function, form) { "certificate " word, function, form, 0 }
#define SHOWN_ONE_OF(word, function, form, count) { "certificate " word, \
	function, form, count }

static const struct part certificate_table[] = {
	SHOWN("common name", apply_names, CERTIFICATE_COMMON_NAME),
	SHOWN("name beside", apply_names, CERTIFICATE_NAME_BESIDE),
	SHOWN("wildcard", apply_names, CERTIFICATE_WILDCARD),
	SHOWN("wildcard part", apply_names, CERTIFICATE_WILDCARD_PART),
	SHOWN("wildcard deep", apply_names, CERTIFICATE_WILDCARD_DEEP),
	SHOWN("capitals", apply_names, CERTIFICATE_CAPITALS),
	SHOWN("of the domain", apply_names, CERTIFICATE_DOMAIN),
	SHOWN("other name", apply_names, CERTIFICATE_OTHER_NAME),
	SHOWN("no name", apply_names, CERTIFICATE_NO_NAME),
	SHOWN("address", apply_names, CERTIFICATE_ADDRESS),
	SHOWN("self", apply_issuer, LAB_ISSUER_SELF),
	SHOWN("other authority", apply_issuer, LAB_ISSUER_OTHER),
	SHOWN("private authority", apply_issuer, LAB_ISSUER_PRIVATE),
	SHOWN("expired", apply_dates, LAB_EXPIRED),
	SHOWN("future", apply_dates, LAB_FUTURE),
	SHOWN("client usage", apply_usage, LAB_USAGE_CLIENT),
	SHOWN("no usage", apply_usage, LAB_USAGE_NONE),
	SHOWN("intermediates", apply_chain, LAB_CHAIN_FULL),
	SHOWN("leaf alone", apply_chain, LAB_CHAIN_LEAF),
	SHOWN("no root", apply_chain, LAB_CHAIN_NO_ROOT),
	SHOWN("reversed", apply_chain, LAB_CHAIN_REVERSED),
	SHOWN("doubled", apply_chain, LAB_CHAIN_DOUBLED),
	SHOWN("surplus", apply_chain, LAB_CHAIN_SURPLUS),
	SHOWN("gap", apply_chain, LAB_CHAIN_GAP),
	SHOWN_ONE_OF("issuer's dates", apply_issuer_dates, LAB_EXPIRED, 2),
	SHOWN("issuer no authority", apply_no_authority, 0),
	SHOWN_ONE_OF("other key", apply_key, LAB_KEY_P384, 3),
	SHOWN("rsa1024", apply_key, LAB_KEY_RSA1024),
	SHOWN_ONE_OF("old digest", apply_digest, LAB_DIGEST_SHA1, 2),
};

const struct part_list certificate_parts = { certificate_table,
    sizeof(certificate_table) / sizeof(certificate_table[0]) };

/* --- what hosts do --- */

/* "STAGE ACTION", null-ended; all of a list come to the same. */
struct acts {
	enum lab_wire		 wire;
	const char		*texts[12];
};

static const struct acts acts[] = {
	{ LAB_WIRE_UNREACHABLE, { "connect close", "connect reset",
	    "connect 421 4.3.2 busy", "connect 554 5.3.2 no service",
	    NULL } },
	{ LAB_WIRE_UNREACHABLE, { "greeting close", "greeting reset",
	    "greeting cut", "greeting half", "greeting garbage",
	    "greeting 421 4.3.2 busy", "greeting 450 4.3.2 later", NULL } },
	{ LAB_WIRE_UNOFFERED, { "ehlo 500 5.5.1 what", "ehlo 502 5.5.1 no",
	    "ehlo 250 mx", "ehlo 250-mx|250-SIZE|250 8BITMIME",
	    "ehlo 250-mx|250-XXXXXXXA|250 SIZE", "ehlo 250-mx|250 STARTTLSX",
	    NULL } },
	{ LAB_WIRE_UNREACHABLE, { "ehlo 421 4.3.2 busy", "ehlo close",
	    "ehlo reset", "ehlo cut", "ehlo half", NULL } },
	{ LAB_WIRE_REFUSED, { "starttls 454 4.7.0 not now",
	    "starttls 554 5.7.0 no", "starttls 500 5.5.1 what",
	    "starttls 502 5.5.1 no", "starttls 501 5.5.4 no",
	    "starttls 530 5.7.0 no", "starttls 250 2.0.0 fine",
	    "starttls 354 go on", "starttls 221 2.0.0 no",
	    "starttls 421 4.3.2 busy", NULL } },
	{ LAB_WIRE_BROKEN, { "starttls close", "starttls reset",
	    "starttls cut", "starttls garbage", "starttls half", NULL } },
	{ LAB_WIRE_BROKEN, { "handshake close", "handshake reset",
	    "handshake garbage", "handshake alert",
	    "handshake alert protocol_version",
	    "handshake alert internal_error",
	    "handshake alert unrecognized_name", NULL } },
	{ LAB_WIRE_BROKEN, { "flight close", "flight cut", "flight reset",
	    NULL } },
	{ LAB_WIRE_BROKEN, { "secured close", "secured cut", "secured reset",
	    "secured half", NULL } },
	{ LAB_WIRE_BROKEN, { "secured garbage", "secured corrupt",
	    "secured alert", "secured 421 4.3.2 busy", NULL } },
	{ LAB_WIRE_BROKEN, { "secured unwrap 250 mx",
	    "mail unwrap 250 2.1.0 fine", "rcpt unwrap 250 2.1.5 fine",
	    NULL } },
	/* Slow: half a minute in three worlds of a hundred is enough. */
	{ LAB_WIRE_UNREACHABLE, { "connect stall", "greeting stall",
	    "ehlo stall", NULL } },
	{ LAB_WIRE_BROKEN, { "starttls stall", "handshake stall",
	    "flight stall", "secured stall", NULL } },
	/* No harm in them. */
	{ LAB_WIRE_GOOD, { "quit close", "quit reset", "quit 500 5.5.1 what",
	    "idle 421 4.4.2 idle", "idle close", "idle reset", NULL } },
	{ LAB_WIRE_GOOD, { "ehlo bytes", "greeting bytes", "rcpt bytes",
	    "secured bytes", "starttls 220-go|220 ahead",
	    "greeting 220-mx|220 ready", NULL } },
};

static const char *draw_text(struct plan *plan, const char *const *texts)
{
	unsigned count = 0;

	while (texts[count] != NULL)
		count++;
	return texts[plan_below(plan, count)];
}

static void set_wire(struct host_plan *host, enum lab_wire wire)
{
	host->wire = wire;
	host->has_wire = true;
}

static void apply_act(struct plan *plan, struct host_plan *host, int which)
{
	const char *text = draw_text(plan, acts[which].texts);

	if (host->has_wire)
		return;
	set_wire(host, acts[which].wire);
	texts_add(plan, &host->host.behaviour, "%s", text);
}

/* The first connection goes wrong, the second does not. */
static void apply_once(struct plan *plan, struct host_plan *host, int which)
{
	const struct acts *drawn = &acts[which + (int)plan_below(plan, 10)];
	const char *text = draw_text(plan, drawn->texts);
	int stage = 0;

	if (host->has_wire)
		return;
	set_wire(host, drawn->wire);
	host->once = true;
	while (text[stage] != ' ')
		stage++;
	texts_add(plan, &host->host.behaviour, "%.*s#1%s", stage, text,
	    text + stage);
}

static const struct {
	enum lab_taking		 taking;
	const char		*texts[5];
} takings[] = {
	{ LAB_REFUSES, { "mail 550 5.7.1 no", "rcpt 550 5.1.1 nobody",
	    NULL } },
	{ LAB_REFUSES, { "data 554 5.7.1 no", "message 554 5.6.0 no",
	    NULL } },
	{ LAB_PUTS_OFF, { "mail 451 4.3.0 later", "rcpt 450 4.2.1 later",
	    NULL } },
	{ LAB_PUTS_OFF, { "data 451 4.3.0 later", "message 452 4.3.1 later",
	    NULL } },
	{ LAB_PUTS_OFF, { "mail close", "rcpt reset", "rcpt cut",
	    "data close", NULL } },
};

static void apply_taking(struct plan *plan, struct host_plan *host, int which)
{
	if (host->taking != LAB_TAKES)
		return;
	host->taking = takings[which].taking;
	texts_add(plan, &host->host.behaviour, "%s", draw_text(plan,
	    takings[which].texts));
}

static const struct {
	enum lab_wire	 wire;
	const char	*word;
} paths[] = {
	{ LAB_WIRE_NO_STARTTLS, "strip" }, { LAB_WIRE_NO_STARTTLS, "mangle" },
	{ LAB_WIRE_UNREACHABLE, "block" }, { LAB_WIRE_UNREACHABLE, "reset" },
	{ LAB_WIRE_UNREACHABLE, "refuse" }, { LAB_WIRE_IMPOSTOR, "impostor" },
	{ LAB_WIRE_UNOFFERED, "refuse-ehlo" },
	{ LAB_WIRE_REFUSED, "refuse-starttls" },
	{ LAB_WIRE_INJECTED, "inject" }, { LAB_WIRE_BROKEN, "drop-tls" },
	{ LAB_WIRE_BROKEN, "reset-tls" }, { LAB_WIRE_BROKEN, "flip" },
	{ LAB_WIRE_GOOD, "pieces" },
};

static void apply_path(struct plan *plan, struct host_plan *host, int which)
{
	if (host->has_wire)
		return;
	set_wire(host, paths[which].wire);
	host->host.path = arena_dup_string(plan->arena, paths[which].word);
}

/* --- TLS --- */

static void apply_versions(struct plan *plan, struct host_plan *host,
    int which)
{
	static const char *const versions[] = { "1.0", "1.1", "1.2", "1.3" };

	if (host->has_wire)
		return;
	set_wire(host, which < 2 ? LAB_WIRE_OBSOLETE : LAB_WIRE_GOOD);
	texts_add(plan, &host->host.versions, "%s", versions[which]);
	if (which == 1 && plan_chance(plan, 50))
		texts_add(plan, &host->host.versions, "1.0");
}

/* A key of the kind that the words name, since the cipher goes with it. */
static void apply_ciphers(struct plan *plan, struct host_plan *host,
    int which)
{
	if (host->has_wire)
		return;
	set_wire(host, (enum lab_wire)which);
	texts_add(plan, &host->host.versions, "1.2");
	host->certificate->key = LAB_KEY_P256;
	host->host.ciphers = arena_dup_string(plan->arena,
	    which == LAB_WIRE_ANONYMOUS ? "AECDH-AES256-SHA" :
	    "ECDHE-ECDSA-NULL-SHA");
}

static void apply_client(struct plan *plan, struct host_plan *host, int which)
{
	(void)plan;
	if (host->has_wire)
		return;
	set_wire(host, which == LAB_CLIENT_DEMANDED ? LAB_WIRE_LATE_DEMAND :
	    LAB_WIRE_GOOD);
	host->host.client_certificate = (enum lab_client_certificate)which;
}

static void apply_tls(struct plan *plan, struct host_plan *host, int which)
{
	(void)plan;
	if (host->has_wire)
		return;
	set_wire(host, which == LAB_TLS_NONE ? LAB_WIRE_NO_STARTTLS :
	    LAB_WIRE_UNREACHABLE);
	host->host.tls = (enum lab_tls)which;
}

static void apply_tickets(struct plan *plan, struct host_plan *host, int which)
{
	(void)plan;
	host->host.tickets = which;
}

/* The right one for who asks for it; the others get another one, or, as
 * which says, an alert. */
static void apply_sni(struct plan *plan, struct host_plan *host, int which)
{
	(void)plan;
	host->has_sni = true;
	host->host.unknown_name = (enum lab_unknown_name)which;
}

/* A warning (RFC 6066 3), which is to be borne: TLS 1.2 has them. */
static void apply_warning(struct plan *plan, struct host_plan *host, int which)
{
	if (host->has_wire)
		return;
	set_wire(host, LAB_WIRE_GOOD);
	texts_add(plan, &host->host.versions, "1.2");
	host->host.unknown_name = (enum lab_unknown_name)which;
}

static void apply_level(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	plan->level = (enum lab_level)which;
}

#define HOST(word, function, number) { "host " word, function, number, 0 }
#define HOST_ONE_OF(word, function, number, count) { "host " word, function, \
	number, count }
#define PATH(word, number) { "path " word, apply_path, number, 0 }

static const struct part host_table[] = {
	HOST("connect", apply_act, 0),
	HOST("greeting", apply_act, 1),
	HOST("no offer", apply_act, 2),
	HOST("ehlo", apply_act, 3),
	HOST("starttls refused", apply_act, 4),
	HOST("starttls", apply_act, 5),
	HOST("handshake", apply_act, 6),
	HOST("flight", apply_act, 7),
	HOST("secured, closed", apply_act, 8),
	HOST("secured, spoilt", apply_act, 9),
	HOST("unwrap", apply_act, 10),
	HOST("stall before tls", apply_act, 11),
	HOST("stall", apply_act, 12),
	HOST("end", apply_act, 13),
	HOST("odd but good", apply_act, 14),
	HOST("once", apply_once, 0),
	HOST("refuses", apply_taking, 0),
	HOST("refuses the message", apply_taking, 1),
	HOST("puts off", apply_taking, 2),
	HOST("puts off the message", apply_taking, 3),
	HOST("breaks off", apply_taking, 4),
	PATH("strip", 0), PATH("mangle", 1), PATH("block", 2),
	PATH("reset", 3), PATH("refuse", 4), PATH("impostor", 5),
	PATH("refuse-ehlo", 6), PATH("refuse-starttls", 7),
	PATH("inject", 8), PATH("drop-tls", 9), PATH("reset-tls", 10),
	PATH("flip", 11), PATH("pieces", 12),
	HOST_ONE_OF("old tls", apply_versions, 0, 2),
	HOST("tls 1.2", apply_versions, 2),
	HOST("tls 1.3", apply_versions, 3),
	HOST("no encryption", apply_ciphers, LAB_WIRE_OBSOLETE),
	HOST("no authentication", apply_ciphers, LAB_WIRE_ANONYMOUS),
	HOST("client asked", apply_client, LAB_CLIENT_ASKED),
	HOST("client demanded", apply_client, LAB_CLIENT_DEMANDED),
	HOST("no tls", apply_tls, LAB_TLS_NONE),
	HOST("implicit tls", apply_tls, LAB_TLS_IMPLICIT),
	HOST_ONE_OF("tickets", apply_tickets, 0, 9),
	HOST("sni", apply_sni, LAB_NAME_SERVED),
	HOST("sni or alert", apply_sni, LAB_NAME_ALERT),
	HOST("sni warned", apply_warning, LAB_NAME_WARNED),
	HOST("level encrypt", apply_level, LAB_LEVEL_ENCRYPT),
	HOST("level dane-only", apply_level, LAB_LEVEL_DANE_ONLY),
};

const struct part_list host_parts = { host_table,
    sizeof(host_table) / sizeof(host_table[0]) };
