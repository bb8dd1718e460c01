/* SPDX-License-Identifier: ISC */
/*
 * Words for somebody who knows DNS and SMTP, but not Postern. Each block is
 * indented below what it is about; long lines are broken at spaces.
 */
#include "tools/command_policy_print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/command_text.h"

static bool equal(const char *one, const char *other)
{
	return strcmp(one, other) == 0;
}

/* --- facts --- */

static bool is_policy(const char *query)
{
	return strncmp(query, "STS", 3) == 0;
}

static bool is_memory(const char *query)
{
	return strncmp(query, "MEMORY", 6) == 0;
}

static void print_tlsa(const json_t *item)
{
	char shown[TEXT_BYTES];

	if (is_true(item, "usable"))
		snprintf(shown, sizeof(shown), "%s", text_of(item, "record"));
	else
		snprintf(shown, sizeof(shown), "%s  (of no use: %s)",
		    text_of(item, "record"), text_of(item, "why"));
	text_line(6, shown);
}

static void print_policy(const json_t *item)
{
	char shown[TEXT_BYTES], patterns[TEXT_BYTES / 2], age[32];

	text_join(json_object_get(item, "mx"), ", ", patterns,
	    sizeof(patterns));
	text_duration(number_of(item, "max-age"), age, sizeof(age));
	snprintf(shown, sizeof(shown), "mode %s, id %s, valid for %s, %s; mail "
	    "hosts: %s", text_of(item, "mode"), text_of(item, "id"), age,
	    is_true(item, "remembered") ? "remembered" : "fetched just now",
	    patterns[0] == '\0' ? "none" : patterns);
	text_line(6, shown);
}

/* What a destination or host has shown. */
static void print_memory(const json_t *item)
{
	char shown[TEXT_BYTES], expected[200];

	text_join(json_object_get(item, "expects"), ", ", expected,
	    sizeof(expected));
	snprintf(shown, sizeof(shown), "%lld connection(s) under TLS%s%s; %s%s",
	    number_of(item, "count"), text_of(item, "last")[0] == '\0' ? "" :
	    ", last at ", text_of(item, "last"), is_true(item,
	    "known-clear") ? "known to have no TLS" : expected[0] == '\0' ?
	    "nothing is expected of it" : "expected of it: ", expected);
	text_line(6, shown);
}

static void print_item(const char *query, const json_t *item)
{
	char shown[TEXT_BYTES];

	if (equal(query, "TLSA")) {
		print_tlsa(item);
	} else if (is_policy(query)) {
		print_policy(item);
	} else if (is_memory(query)) {
		print_memory(item);
	} else if (equal(query, "MX")) {
		snprintf(shown, sizeof(shown), "%lld %s", number_of(item,
		    "preference"), text_of(item, "host"));
		text_line(6, shown);
	} else {
		text_line(6, json_is_string(item) ? json_string_value(item) :
		    "");
	}
}

/* What DNSSEC says of it, or that there is no answer to say it of. */
static void print_worth(const json_t *fact)
{
	const char *dnssec = text_of(fact, "dnssec");
	const char *query = text_of(fact, "query");
	char ttl[32];

	if (equal(dnssec, "bogus")) {
		printf("BOGUS: the signatures do not hold\n");
	} else if (equal(dnssec, "error")) {
		printf("ERROR: no usable answer\n");
	} else if (is_policy(query) || is_memory(query)) {
		/* DNSSEC is of no account: RFC 8461 2 */
		printf("ok\n");
	} else {
		text_duration(number_of(fact, "ttl"), ttl, sizeof(ttl));
		printf("%s, TTL %s\n", equal(dnssec, "secure") ?
		    "secure (signed)" : "insecure (not signed)", ttl);
	}
}

static const char *query_title(const char *query)
{
	if (equal(query, "STS"))
		return "MTA-STS";
	if (equal(query, "STS-CACHED"))
		return "MTA-STS (remembered)";
	if (equal(query, "MEMORY"))
		return "memory of the destination";
	if (equal(query, "MEMORY-HOST"))
		return "memory of the host";
	return query;
}

static void print_nothing(const json_t *fact)
{
	const char *result = text_of(fact, "result");
	const char *query = text_of(fact, "query");

	if (equal(result, "nxdomain"))
		text_line(6, "there is no such name");
	else if (equal(result, "nodata"))
		text_line(6, is_policy(query) ? "no policy is in force" :
		    is_memory(query) ? "nothing is remembered" :
		    "the name has no such record");
}

static void print_fact(const json_t *fact)
{
	const char *query = text_of(fact, "query");
	const json_t *data = json_object_get(fact, "data");
	char head[TEXT_BYTES], name[TEXT_BYTES], shown[TEXT_BYTES];
	size_t i;

	text_clean(text_of(fact, "name"), name, sizeof(name));
	snprintf(head, sizeof(head), "%s %.400s", query_title(query), name);
	printf("  %-44s  ", head);
	print_worth(fact);
	if (text_of(fact, "alias")[0] != '\0' && !equal(query, "CNAME")) {
		snprintf(shown, sizeof(shown), "an alias (CNAME) of %s",
		    text_of(fact, "alias"));
		text_line(6, shown);
	}
	for (i = 0; i < json_array_size(data); i++)
		print_item(query, json_array_get(data, i));
	if (number_of(fact, "more") > 0)
		printf("      and %lld more\n", number_of(fact, "more"));
	print_nothing(fact);
	if (text_of(fact, "reason")[0] != '\0')
		text_line(6, text_of(fact, "reason"));
}

static void print_facts(const json_t *facts)
{
	size_t i;

	printf("\nWhat was asked, and what came back\n");
	if (json_array_size(facts) == 0)
		printf("  nothing had to be looked up\n");
	for (i = 0; i < json_array_size(facts); i++)
		print_fact(json_array_get(facts, i));
}

/* --- decisions --- */

static void print_decisions(const json_t *notes)
{
	const char *subject, *before = "";
	char shown[TEXT_BYTES];
	const json_t *note;
	size_t i;

	if (json_array_size(notes) == 0)
		return;
	printf("\nWhat follows from it\n");
	for (i = 0; i < json_array_size(notes); i++) {
		note = json_array_get(notes, i);
		subject = text_of(note, "subject");
		if (!equal(subject, before))
			text_line(2, subject);
		before = subject;
		snprintf(shown, sizeof(shown), text_of(note,
		    "clause")[0] == '\0' ? "%s%s" : "%s [%s]",
		    text_of(note, "text"), text_of(note, "clause"));
		text_line(6, shown);
	}
}

/* --- the plan --- */

/* Why so much is asked, where neither the records nor the configuration say
 * it: behind the words of wanted() and in_short(). */
static const char *asked_by(const json_t *host)
{
	const char *source = text_of(host, "source");

	if (equal(source, "memory"))
		return " (memory: it has always shown TLS)";
	if (equal(source, "pin"))
		return " (pinned)";
	if (equal(source, "requiretls"))
		return " (REQUIRETLS)";
	return equal(source, "sts") && equal(text_of(host, "requirement"),
	    "name") ? " (MTA-STS)" : "";
}

/* A certificate for whose name. */
static const char *named(const json_t *host)
{
	const json_t *names = json_object_get(host, "names");
	const char *only = json_string_value(json_array_get(names, 0));
	bool own = json_array_size(names) == 1 && only != NULL &&
	    equal(only, text_of(host, "name"));

	return equal(text_of(host, "source"), "level") && !own ?
	    "one of the names of the configuration" : "its name";
}

static const char *wanted_dane(const json_t *host)
{
	if (is_true(host, "also-name"))
		return "TLS, and a certificate that its TLSA records name "
		    "(DANE) and that a known authority gave it (MTA-STS)";
	return equal(text_of(host, "source"), "half-dane") ? "TLS, and a "
	    "certificate that its TLSA records name (DANE, but the MX record "
	    "that named the host is not signed)" : "TLS, and a certificate "
	    "that its TLSA records name (DANE)";
}

/* What is asked of a host, by requirement and who asks for it. */
static void wanted(const json_t *host, char *out, size_t size)
{
	const char *requirement = text_of(host, "requirement");

	if (equal(requirement, "dane"))
		snprintf(out, size, "%s", wanted_dane(host));
	else if (equal(requirement, "name"))
		snprintf(out, size, "TLS, and a certificate of a known "
		    "authority for %s%s", named(host), asked_by(host));
	else if (equal(requirement, "fingerprint"))
		snprintf(out, size, "TLS, and the certificate or key of a "
		    "fingerprint%s", asked_by(host));
	else if (equal(requirement, "encrypted"))
		snprintf(out, size, "TLS; whose certificate it is does not "
		    "matter%s", asked_by(host));
	else if (equal(requirement, "opportunistic"))
		snprintf(out, size, "nothing; TLS is used if it offers it, "
		    "whoever it is%s", is_true(host, "expects-tls") ? "; it "
		    "has shown TLS before, so its absence is told (memory)" :
		    "");
	else
		snprintf(out, size, "nothing; TLS is not used (level none)");
}

/* The same in the one sentence that comes first. */
static void in_short(const json_t *host, char *out, size_t size)
{
	const char *requirement = text_of(host, "requirement");

	if (equal(requirement, "dane"))
		snprintf(out, size, "%s", equal(text_of(host, "source"),
		    "half-dane") ? "over TLS that its TLSA records "
		    "authenticate, although the MX record that named it is "
		    "not signed" : "over TLS that its TLSA records "
		    "authenticate (DANE)");
	else if (equal(requirement, "name"))
		snprintf(out, size, "over TLS with a certificate for %s%s",
		    named(host), asked_by(host));
	else if (equal(requirement, "fingerprint"))
		snprintf(out, size, "over TLS with a certificate or key that "
		    "was named%s", asked_by(host));
	else if (equal(requirement, "encrypted"))
		snprintf(out, size, "over TLS, whoever answers%s",
		    asked_by(host));
	else if (equal(requirement, "opportunistic"))
		snprintf(out, size, "over TLS if it offers it, whoever "
		    "answers");
	else
		snprintf(out, size, "in clear: TLS is not used");
}

/* What is published or known, but does not bind here. */
static void print_ideal(const json_t *host)
{
	const char *ideal = text_of(host, "ideal");
	char shown[400];

	/* Memory's measure of a chain has no source: nobody asks for it. */
	if (ideal[0] == '\0' || equal(text_of(host, "ideal-source"), "none"))
		return;
	snprintf(shown, sizeof(shown), "%s%s: tried, told and counted; mail "
	    "goes all the same without it", equal(ideal, "dane") ?
	    "a certificate that its TLSA records name" :
	    equal(ideal, "name") ? "a certificate for its name" :
	    equal(ideal, "encrypted") ? "TLS" : ideal,
	    equal(text_of(host, "ideal-source"), "sts") ? " (MTA-STS)" :
	    equal(text_of(host, "ideal-source"), "dane") ? " (DANE)" : "");
	text_labelled(6, "hoped for", shown);
}

static void print_mismatch(const json_t *host)
{
	if (is_true(host, "sts-mismatch"))
		text_labelled(6, "left out", "by the domain's MTA-STS policy, "
		    "which does not bind here: told and counted");
}

/* "clear-after 14400" for people. */
static void fallback_words(const char *fallback, char *out, size_t size)
{
	long long seconds = 0;
	char age[32];

	if (sscanf(fallback, "clear-after %lld", &seconds) == 1) {
		text_duration(seconds, age, sizeof(age));
		snprintf(out, size, "the message waits until it is %s old, "
		    "then goes in clear", age);
	} else {
		snprintf(out, size, "%s", equal(fallback, "clear") ?
		    "the message goes in clear" : "the message waits");
	}
}

static bool is_demanded(const json_t *plan)
{
	return equal(text_of(plan, "wish"), "requiretls");
}

static void print_otherwise(const json_t *plan, const json_t *host)
{
	const char *requirement = text_of(host, "requirement");
	char words[160], shown[400];

	if (equal(requirement, "clear"))
		return;
	if (!equal(requirement, "opportunistic")) {
		text_labelled(6, "otherwise", is_demanded(plan) ? "no mail to "
		    "this host: the next one is tried; where none can do it, "
		    "the message is returned" : "no mail to this host: the "
		    "next one is tried, or the message waits");
		return;
	}
	fallback_words(text_of(plan, "no-starttls"), words, sizeof(words));
	snprintf(shown, sizeof(shown), "it offers no TLS: %s", words);
	text_labelled(6, "otherwise", shown);
	fallback_words(text_of(plan, "broken-tls"), words, sizeof(words));
	snprintf(shown, sizeof(shown), "its TLS is broken: %s", words);
	text_labelled(6, "", shown);
}

/* Usage 2 asks for a name beside the authority; usage 3 for no name. */
static bool has_anchor(const json_t *host)
{
	const json_t *record;
	size_t i;

	json_array_foreach(json_object_get(host, "tlsa"), i, record)
		if (json_is_string(record) &&
		    json_string_value(record)[0] == '2')
			return true;
	return false;
}

/* In one line each, however long, for those who compare and copy them. */
static void print_records(const json_t *records)
{
	const char *record;
	char shown[TEXT_BYTES];
	size_t i;

	for (i = 0; i < json_array_size(records); i++) {
		record = json_string_value(json_array_get(records, i));
		text_clean(record == NULL ? "" : record, shown, sizeof(shown));
		printf("%*s%-*s%s\n", 6, "", TEXT_LABEL, i == 0 ? "records" :
		    "", shown);
	}
}

static void print_host(const json_t *plan, const json_t *host, size_t number)
{
	const json_t *skipped = json_object_get(host, "skipped");
	const char *requirement = text_of(host, "requirement");
	char names[TEXT_BYTES], name[TEXT_BYTES], shown[400];
	bool has_names = equal(requirement, "dane") ||
	    equal(requirement, "name");

	text_clean(text_of(host, "name"), name, sizeof(name));
	printf("  %zu. %s", number, name);
	if (is_true(json_object_get(plan, "next-hop"), "mx"))
		printf(", preference %lld", number_of(host, "preference"));
	printf("%s\n", is_true(host, "skip") ? ": left out" : "");
	if (is_true(host, "skip")) {
		text_labelled(6, "because", text_of(skipped, "text"));
		return;
	}
	text_join(json_object_get(host, "addresses"), ", ", names,
	    sizeof(names));
	text_labelled(6, "addresses", names);
	wanted(host, shown, sizeof(shown));
	text_labelled(6, "must show", shown);
	if (is_true(host, "requiretls"))
		text_labelled(6, "", is_demanded(plan) ? "and the extension "
		    "REQUIRETLS under TLS (RFC 8689)" : "REQUIRETLS is asked "
		    "for where it offers it (RFC 8689)");
	if (equal(requirement, "dane"))
		print_records(json_object_get(host, "tlsa"));
	text_join(json_object_get(host, "names"), ", ", names, sizeof(names));
	if (has_names && (!equal(requirement, "dane") || has_anchor(host)))
		text_labelled(6, "names", names);
	if (equal(requirement, "fingerprint")) {
		text_join(json_object_get(plan, "fingerprints"), " ", names,
		    sizeof(names));
		text_labelled(6, "sha-256", names);
	}
	print_otherwise(plan, host);
	print_ideal(host);
	print_mismatch(host);
	text_labelled(6, "because", text_of(host, "reason"));
}

/* The host that is tried first; null when there is none. */
static const json_t *first_host(const json_t *plan)
{
	const json_t *hosts = json_object_get(plan, "hosts");
	size_t i;

	for (i = 0; i < json_array_size(hosts); i++)
		if (!is_true(json_array_get(hosts, i), "skip"))
			return json_array_get(hosts, i);
	return NULL;
}

/* What becomes of mail that nobody else gets. */
static const char *kept_text(const json_t *plan)
{
	const char *transport = text_of(plan, "transport");

	if (equal(transport, "maildir"))
		return "its mail is put into mailboxes here";
	return equal(transport, "lmtp") ?
	    "its mail goes to a mail store of this machine by LMTP" :
	    "its mail is discarded (route)";
}

static void print_route(int indent, const json_t *plan)
{
	const json_t *route = json_object_get(plan, "route");
	char shown[TEXT_BYTES];

	if (route == NULL)
		return;
	snprintf(shown, sizeof(shown), "by route %s, %s%s%s", text_of(route,
	    "pattern"), text_of(route, "transport"),
	    text_of(route, "socket")[0] == '\0' ? "" : " to ",
	    text_of(route, "socket"));
	text_line(indent, shown);
	if (text_of(route, "credentials")[0] != '\0') {
		snprintf(shown, sizeof(shown), "logs in with the credentials "
		    "of %s", text_of(route, "credentials"));
		text_line(indent, shown);
	}
	if (text_of(route, "certificate")[0] == '\0')
		return;
	snprintf(shown, sizeof(shown), "shows certificate %s, when asked",
	    text_of(route, "certificate"));
	text_line(indent, shown);
}

/* Who set the level. */
static const char *setter(const json_t *plan)
{
	return text_of(json_object_get(plan, "route"), "level")[0] == '\0' ?
	    "destination" : "route";
}

/* One sentence: the answer, before all that it was made from. */
static void print_verdict(const json_t *plan)
{
	const json_t *status = json_object_get(plan, "status");
	const json_t *first = first_host(plan);
	char shown[TEXT_BYTES], how[400];

	if (text_of(plan, "transport")[0] != '\0') {
		snprintf(shown, sizeof(shown), "%s: %s; nothing is sent",
		    text_of(plan, "domain"), kept_text(plan));
	} else if (status != NULL) {
		snprintf(shown, sizeof(shown), "%s: mail %s (%s): %s",
		    text_of(plan, "domain"), equal(text_of(status, "outcome"),
		    "failed") ? "is returned to its sender" : "waits",
		    text_of(status, "status"), text_of(status, "text"));
	} else if (first != NULL) {
		in_short(first, how, sizeof(how));
		snprintf(shown, sizeof(shown), "%s: mail goes to %s, %s",
		    text_of(plan, "domain"), text_of(first, "name"), how);
	} else {
		snprintf(shown, sizeof(shown), "%s: no host",
		    text_of(plan, "domain"));
	}
	text_wrap(0, shown);
	if (text_of(plan, "alarm")[0] != '\0') {
		printf("ALARM: ");
		text_wrap(7, text_of(plan, "alarm"));
	}
}

/* "dane", "sts" or both with " and " between. */
static void print_vanished(size_t indent, const char *what)
{
	text_line(indent, equal(what, "dane") ? "memory knows of TLSA records "
	    "that are there no more" : equal(what, "sts") ? "memory knows of "
	    "an MTA-STS policy that is there no more" : "memory knows of TLSA "
	    "records and an MTA-STS policy that are there no more");
}

/* Who decided instead of, or beside, the configuration. */
static void print_circumstances(size_t indent, const json_t *plan)
{
	const json_t *exception = json_object_get(plan, "exception");
	const json_t *pin = json_object_get(plan, "pin");
	char shown[TEXT_BYTES];

	if (text_of(plan, "message-level")[0] != '\0') {
		snprintf(shown, sizeof(shown), "the level is the message's "
		    "own: %s (queue set-tls)", text_of(plan,
		    "message-level"));
		text_line(indent, shown);
	}
	if (json_is_object(exception)) {
		snprintf(shown, sizeof(shown), "exception %lld is in force: "
		    "level %s for %s: %s", number_of(exception, "id"),
		    text_of(exception, "level"), text_of(exception,
		    "pattern"), text_of(exception, "reason"));
		text_line(indent, shown);
	}
	if (json_is_object(pin)) {
		snprintf(shown, sizeof(shown), "it is pinned: %s%s%s",
		    text_of(pin, "level"), text_of(pin, "reason")[0] == '\0' ?
		    "" : ": ", text_of(pin, "reason"));
		text_line(indent, shown);
	}
	text_join(json_object_get(plan, "vanished"), " and ", shown,
	    sizeof(shown));
	if (shown[0] != '\0')
		print_vanished(indent, shown);
	if (is_demanded(plan))
		text_line(indent, "the sender demands REQUIRETLS");
	else if (equal(text_of(plan, "wish"), "optional"))
		text_line(indent, "the sender says TLS-Required: No");
}

static void print_plan(const json_t *plan)
{
	const json_t *next = json_object_get(plan, "next-hop");
	const json_t *hosts = json_object_get(plan, "hosts");
	char head[TEXT_BYTES];
	size_t i;

	snprintf(head, sizeof(head), "The plan for %s%s, port %lld%s, at level "
	    "%s (%s %s)", is_true(next, "mx") ? "the MX of " : "",
	    text_of(next, "host"), number_of(next, "port"),
	    equal(text_of(next, "tls"), "implicit") ?
	    ", with TLS from the first byte" : "", text_of(plan, "level"),
	    setter(plan), text_of(plan, "destination"));
	putchar('\n');
	text_wrap(0, head);
	print_route(2, plan);
	print_circumstances(2, plan);
	if (json_array_size(hosts) == 0)
		printf("  no host\n");
	for (i = 0; i < json_array_size(hosts); i++)
		print_host(plan, json_array_get(hosts, i), i + 1);
}

void policy_print_explanation(const json_t *object)
{
	print_verdict(object);
	if (text_of(object, "transport")[0] != '\0') {
		print_route(2, object);
		return;
	}
	print_facts(json_object_get(object, "facts"));
	print_decisions(json_object_get(object, "decisions"));
	print_plan(object);
}

void policy_print_summary(const json_t *object)
{
	print_verdict(object);
	if (text_of(object, "transport")[0] == '\0')
		print_plan(object);
	printf("\n");
}

/* --- the next attempt of a message --- */

/* said: what was printed already about the whole of the plan. */
static void print_next_host(const json_t *host, size_t number,
    const char *said)
{
	const char *why = text_of(json_object_get(host, "skipped"), "text");
	char shown[TEXT_BYTES], how[400];

	printf("%*zu. ", 7, number);
	if (is_true(host, "skip")) {
		snprintf(shown, sizeof(shown), "%s: left out%s%s",
		    text_of(host, "name"), equal(why, said) ? "" : ": ",
		    equal(why, said) ? "" : why);
		text_wrap(9, shown);
		return;
	}
	in_short(host, how, sizeof(how));
	snprintf(shown, sizeof(shown), "%s: %s%s", text_of(host, "name"), how,
	    is_true(host, "requiretls") ? ", with REQUIRETLS" : "");
	text_wrap(9, shown);
	if (text_of(host, "reason")[0] != '\0')
		text_line(9, text_of(host, "reason"));
}

static const char *kept_briefly(const json_t *object)
{
	const char *transport = text_of(object, "transport");

	if (equal(transport, "maildir"))
		return "into mailboxes here";
	return equal(transport, "lmtp") ? "by LMTP, on this machine" :
	    "it is discarded (route)";
}

/* Where an administrator sends it. */
static void print_next_hop(const json_t *object)
{
	const json_t *next = json_object_get(object, "next-hop");
	char shown[TEXT_BYTES];

	if (json_object_get(object, "route") == NULL)
		return;
	snprintf(shown, sizeof(shown), "to %s%s, port %lld",
	    is_true(next, "mx") ? "the MX of " : "", text_of(next, "host"),
	    number_of(next, "port"));
	text_line(4, shown);
}

void policy_print_next(const json_t *object)
{
	const json_t *hosts = json_object_get(object, "hosts");
	const json_t *status = json_object_get(object, "status");
	char shown[TEXT_BYTES];
	size_t i;

	if (text_of(object, "transport")[0] != '\0') {
		text_line(4, kept_briefly(object));
		print_route(4, object);
		return;
	}
	snprintf(shown, sizeof(shown), "level %s (%s %s)",
	    text_of(object, "level"), setter(object),
	    text_of(object, "destination"));
	text_line(4, shown);
	print_next_hop(object);
	print_route(4, object);
	print_circumstances(4, object);
	if (status != NULL) {
		snprintf(shown, sizeof(shown), "it would %s (%s): %s",
		    equal(text_of(status, "outcome"), "failed") ?
		    "be returned" : "wait", text_of(status, "status"),
		    text_of(status, "text"));
		text_line(4, shown);
	}
	for (i = 0; i < json_array_size(hosts); i++)
		print_next_host(json_array_get(hosts, i), i + 1,
		    text_of(status, "text"));
}

/* --- probes --- */

static void print_certificate(const json_t *shown, size_t depth)
{
	char label[32], dates[80];

	snprintf(label, sizeof(label), "chain %zu", depth);
	text_labelled(4, label, text_of(shown, "subject"));
	text_labelled(4, "  issuer", text_of(shown, "issuer"));
	text_labelled(4, "  names", text_of(shown, "names"));
	snprintf(dates, sizeof(dates), "%.30s to %.30s", text_of(shown,
	    "not-before"), text_of(shown, "not-after"));
	text_labelled(4, "  valid", dates);
	text_labelled(4, "  sha-256", text_of(shown, "certificate-sha256"));
	text_labelled(4, "  of key", text_of(shown, "key-sha256"));
}

static void print_tls(const json_t *tls)
{
	const json_t *chain = json_object_get(tls, "chain");
	char shown[TEXT_BYTES];
	size_t i;

	snprintf(shown, sizeof(shown), "%s %s %s", text_of(tls, "version"),
	    text_of(tls, "cipher"), text_of(tls, "group"));
	if (text_of(tls, "version")[0] != '\0')
		text_labelled(4, "TLS", shown);
	text_labelled(4, "asked for", text_of(tls, "sni"));
	text_labelled(4, "matched", text_of(tls, "matched-tlsa"));
	text_labelled(4, "matched", text_of(tls, "matched-name"));
	text_labelled(4, "problem", text_of(tls, "problem"));
	for (i = 0; i < json_array_size(chain); i++)
		print_certificate(json_array_get(chain, i), i);
}

void policy_print_probe(const json_t *object)
{
	const json_t *tls = json_object_get(object, "tls");
	char shown[TEXT_BYTES], host[TEXT_BYTES], address[TEXT_BYTES];
	bool mail = is_true(object, "mail");

	text_clean(text_of(object, "host"), host, sizeof(host));
	text_clean(text_of(object, "address"), address, sizeof(address));
	printf("%s", host);
	if (address[0] != '\0' && strcmp(address, host) != 0)
		printf(" [%s]", address);
	if (number_of(object, "port") > 0)
		printf(" port %lld", number_of(object, "port"));
	printf("\n");
	snprintf(shown, sizeof(shown), "%s: %s", text_of(object, "verdict"),
	    mail ? "mail would go here" : "no mail here");
	text_labelled(4, "verdict", shown);
	text_labelled(4, "because", text_of(object, "text"));
	if (json_is_object(tls))
		print_tls(tls);
	printf("\n");
}

/* --- what is remembered --- */

void policy_print_remembered(const json_t *object)
{
	char shown[TEXT_BYTES], patterns[TEXT_BYTES / 2];

	text_line(0, text_of(object, "domain"));
	snprintf(shown, sizeof(shown), "%s, id %s, fetched %s, expires %s",
	    text_of(object, "mode"), text_of(object, "id"),
	    text_of(object, "fetched"), text_of(object, "expires"));
	text_labelled(4, "mode", shown);
	text_join(json_object_get(object, "mx"), ", ", patterns,
	    sizeof(patterns));
	text_labelled(4, "mail hosts", patterns);
}
