/* SPDX-License-Identifier: ISC */
/*
 * Parts: the record of MTA-STS, the policy, and the host that serves it. A
 * world without a policy gets one when a part is about it.
 */
#include "tools/lab/compose_private.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"

static void need_policy(struct plan *plan)
{
	plan->sts.there = true;
}

/* --- the record --- */

static const struct {
	enum lab_sts_record	 record;
	const char		*texts[2];
} records[] = {
	{ LAB_RECORD_NONE, { NULL, NULL } },
	{ LAB_RECORD_INVALID, { "\"v=STSv1;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"V=STSv1; id=%d;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"v=STSv2; id=%d;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"id=%d; v=STSv1;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"v=STSv1; id=a-%d;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"v=STSv1; "
	    "id=%d12345678901234567890123456789012;\"", NULL } },
	{ LAB_RECORD_INVALID, { "\"v=STSv1; id=%d;\"",
	    "\"v=STSv1; id=0%d;\"" } },
	{ LAB_RECORD_VALID, { "\"v=STSv1; i\" \"d=%d;\"", NULL } },
	{ LAB_RECORD_VALID, { "\"v=STSv1;id=%d\"", NULL } },
	{ LAB_RECORD_VALID, { "\"v=STSv1; note=hello; id=%d;\"", NULL } },
	{ LAB_RECORD_VALID, { "\"v=STSv1; id=%d;\"", "\"v=spf1 -all\"" } },
};

static void apply_record(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	need_policy(plan);
	plan->sts.record = records[which].record;
	plan->sts.texts[0] = records[which].texts[0];
	plan->sts.texts[1] = records[which].texts[1];
}

static void apply_record_alias(struct plan *plan, struct host_plan *host,
    int which)
{
	(void)host;
	(void)which;
	need_policy(plan);
	plan->sts.alias = true;
}

/* --- the policy --- */

static void apply_mode(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	need_policy(plan);
	plan->sts.mode = (enum lab_sts_mode)which;
}

/* "%p" is the zone of the host: see plan_name(). */
static void apply_pattern(struct plan *plan, struct host_plan *host,
    int which)
{
	static const char *const patterns[] = { "*.%p", "mail.example.com",
	    "*.mx1.%p", "%p", "*.net" };

	(void)host;
	need_policy(plan);
	texts_add(plan, &plan->sts.patterns, "%s", patterns[which]);
}

enum { BODY_LF, BODY_UNKNOWN_KEY, BODY_ORDER, BODY_BLANKS, BODY_LONG_AGE,
    BODY_TWICE, BODY_NO_VERSION, BODY_VERSION, BODY_NO_MODE, BODY_MODE,
    BODY_NO_AGE, BODY_AGE, BODY_LONG_DIGITS, BODY_NO_HOST, BODY_EMPTY,
    BODY_HTML };

/* "%m" stands for mode and hosts as they would be otherwise. */
static const char *const bodies[][6] = {
	[BODY_LF] = { "version: STSv1", "%m", "max_age: 86400", NULL },
	[BODY_UNKNOWN_KEY] = { "version: STSv1", "note: hello", "%m",
	    "max_age: 86400", NULL },
	[BODY_ORDER] = { "max_age: 86400", "%m", "version: STSv1", NULL },
	[BODY_BLANKS] = { "version:   STSv1  ", "%m", "max_age:86400", NULL },
	[BODY_LONG_AGE] = { "version: STSv1", "%m", "max_age: 31557600",
	    NULL },
	[BODY_TWICE] = { "version: STSv1", "%m", "mode: none",
	    "max_age: 86400", NULL },
	[BODY_NO_VERSION] = { "%m", "max_age: 86400", NULL },
	[BODY_VERSION] = { "version: STSv2", "%m", "max_age: 86400", NULL },
	[BODY_NO_MODE] = { "version: STSv1", "mx: *.example.net",
	    "max_age: 86400", NULL },
	[BODY_MODE] = { "version: STSv1", "mode: Enforce",
	    "mx: *.example.net", "max_age: 86400", NULL },
	[BODY_NO_AGE] = { "version: STSv1", "%m", NULL },
	[BODY_AGE] = { "version: STSv1", "%m", "max_age: 1d", NULL },
	[BODY_LONG_DIGITS] = { "version: STSv1", "%m",
	    "max_age: 00000086400", NULL },
	[BODY_NO_HOST] = { "version: STSv1", "mode: enforce",
	    "max_age: 86400", NULL },
	[BODY_EMPTY] = { " ", NULL },
	[BODY_HTML] = { "<html><title>Welcome</title></html>", NULL },
};

static void apply_body(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	need_policy(plan);
	if (plan->sts.has_body)
		return;
	plan->sts.has_body = true;
	for (size_t i = 0; bodies[which][i] != NULL; i++)
		texts_add(plan, &plan->sts.body, "%s", bodies[which][i]);
	if (which == BODY_LF)
		plan->sts.host.line_ends = LAB_ENDS_LF;
	if (which >= BODY_NO_VERSION)
		plan->sts.fetch = LAB_FETCH_FAILS;
}

/* --- the host that serves it --- */

static bool take_fetch(struct plan *plan, enum lab_sts_fetch fetch)
{
	need_policy(plan);
	if (plan->sts.has_fetch)
		return false;
	plan->sts.has_fetch = true;
	if (plan->sts.fetch != LAB_FETCH_FAILS)
		plan->sts.fetch = fetch;
	return true;
}

static void apply_fault(struct plan *plan, struct host_plan *host, int which)
{
	static const char *const faults[] = { "reset", "close", "short",
	    "refuse", "cut", "cut-chunk", "gzip", "endless", "headers",
	    "informational", "stall", "drip", "block" };

	(void)host;
	if (take_fetch(plan, LAB_FETCH_FAILS))
		plan->sts.host.fault = arena_dup_string(plan->arena,
		    faults[which]);
}

static void apply_status(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	if (!take_fetch(plan, LAB_FETCH_FAILS))
		return;
	plan->sts.host.status = which;
	if (which / 100 == 3)
		texts_add(plan, &plan->sts.host.headers, "Location: "
		    "https://mta-sts.example.net/.well-known/mta-sts.txt");
}

static void apply_type(struct plan *plan, struct host_plan *host, int which)
{
	static const char *const types[] = { "text/html",
	    "application/octet-stream", "text/plain; charset=utf-8" };

	(void)host;
	if (take_fetch(plan, which < 2 ? LAB_FETCH_ODD_TYPE :
	    LAB_FETCH_WORKS))
		plan->sts.host.type = arena_dup_string(plan->arena,
		    types[which]);
}

enum { WEB_EXPIRED, WEB_SELF, WEB_OTHER, WEB_OTHER_NAME, WEB_COMMON_NAME,
    WEB_PARENT, WEB_GAP, WEB_WILDCARD, WEB_CHAIN };

static void apply_web_certificate(struct plan *plan, struct host_plan *host,
    int which)
{
	static const char *const names[] = { [WEB_OTHER_NAME] =
	    "mta-sts.provider.example", [WEB_PARENT] = "example.net",
	    [WEB_WILDCARD] = "*.example.net" };
	struct lab_certificate *web;

	(void)host;
	if (!take_fetch(plan, which >= WEB_WILDCARD ? LAB_FETCH_WORKS :
	    LAB_FETCH_FAILS))
		return;
	web = plan_certificate(plan, "web-other");
	web->validity = which == WEB_EXPIRED ? LAB_EXPIRED : LAB_VALID;
	web->issuer = which == WEB_SELF ? LAB_ISSUER_SELF :
	    which == WEB_OTHER ? LAB_ISSUER_OTHER : LAB_ISSUER_CA;
	web->intermediates = which == WEB_GAP || which == WEB_CHAIN;
	web->chain = which == WEB_GAP ? LAB_CHAIN_LEAF : LAB_CHAIN_FULL;
	if (which == WEB_COMMON_NAME)
		web->common_name = arena_dup_string(plan->arena,
		    "mta-sts.example.net");
	else
		texts_add(plan, &web->names, "%s", which == WEB_OTHER_NAME ||
		    which == WEB_PARENT || which == WEB_WILDCARD ?
		    names[which] : "mta-sts.example.net");
	plan->sts.host.certificate = web->name;
}

static void apply_web_tls(struct plan *plan, struct host_plan *host, int which)
{
	(void)host;
	if (!take_fetch(plan, which == 0 ? LAB_FETCH_FAILS :
	    LAB_FETCH_WORKS))
		return;
	if (which == 0)
		texts_add(plan, &plan->sts.host.versions, "1.1");
	else
		plan->sts.host.needs_name = true;
}

static void apply_no_address(struct plan *plan, struct host_plan *host,
    int which)
{
	(void)host;
	(void)which;
	if (take_fetch(plan, LAB_FETCH_FAILS))
		plan->sts.no_address = true;
}

#define STS(word, function, number) { "sts " word, function, number, 0 }
#define SEVERAL(word, function, number, count) { "sts " word, function, \
	number, count }

static const struct part sts_table[] = {
	STS("no record", apply_record, 0),
	STS("no id", apply_record, 1),
	STS("capital version", apply_record, 2),
	STS("other version", apply_record, 3),
	STS("version last", apply_record, 4),
	STS("odd id", apply_record, 5),
	STS("long id", apply_record, 6),
	STS("two records", apply_record, 7),
	STS("two strings", apply_record, 8),
	STS("no blanks", apply_record, 9),
	STS("further field", apply_record, 10),
	STS("other text beside", apply_record, 11),
	STS("record alias", apply_record_alias, 0),
	STS("mode none", apply_mode, LAB_STS_NONE),
	STS("mode testing", apply_mode, LAB_STS_TESTING),
	STS("wildcard", apply_pattern, 0),
	STS("other host", apply_pattern, 1),
	STS("wildcard too low", apply_pattern, 2),
	STS("parent", apply_pattern, 3),
	STS("wildcard too high", apply_pattern, 4),
	STS("line ends", apply_body, BODY_LF),
	SEVERAL("odd but good", apply_body, BODY_UNKNOWN_KEY, 3),
	STS("long age", apply_body, BODY_LONG_AGE),
	STS("mode twice", apply_body, BODY_TWICE),
	STS("policy without version", apply_body, BODY_NO_VERSION),
	STS("policy of other version", apply_body, BODY_VERSION),
	STS("policy without mode", apply_body, BODY_NO_MODE),
	STS("capital mode", apply_body, BODY_MODE),
	STS("no age", apply_body, BODY_NO_AGE),
	STS("odd age", apply_body, BODY_AGE),
	STS("long digits", apply_body, BODY_LONG_DIGITS),
	STS("no host", apply_body, BODY_NO_HOST),
	STS("empty", apply_body, BODY_EMPTY),
	STS("html", apply_body, BODY_HTML),
	STS("reset", apply_fault, 0), STS("close", apply_fault, 1),
	STS("short", apply_fault, 2), STS("refuse", apply_fault, 3),
	STS("cut", apply_fault, 4), STS("cut chunk", apply_fault, 5),
	STS("gzip", apply_fault, 6), SEVERAL("flood", apply_fault, 7, 3),
	SEVERAL("slow", apply_fault, 10, 3),
	STS("301", apply_status, 301), STS("404", apply_status, 404),
	STS("500", apply_status, 500),
	STS("text/html", apply_type, 0), STS("octets", apply_type, 1),
	STS("charset", apply_type, 2),
	STS("web expired", apply_web_certificate, WEB_EXPIRED),
	STS("web self", apply_web_certificate, WEB_SELF),
	STS("web other authority", apply_web_certificate, WEB_OTHER),
	STS("web other name", apply_web_certificate, WEB_OTHER_NAME),
	STS("web common name", apply_web_certificate, WEB_COMMON_NAME),
	STS("web parent", apply_web_certificate, WEB_PARENT),
	STS("web leaf alone", apply_web_certificate, WEB_GAP),
	SEVERAL("web good", apply_web_certificate, WEB_WILDCARD, 2),
	STS("web tls 1.1", apply_web_tls, 0),
	STS("web needs name", apply_web_tls, 1),
	STS("no policy host", apply_no_address, 0),
};

const struct part_list sts_parts = { sts_table,
    sizeof(sts_table) / sizeof(sts_table[0]) };
