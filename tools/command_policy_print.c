/* SPDX-License-Identifier: ISC */
/*
 * Words for somebody who knows DNS and SMTP, but not Postern. Each block is
 * indented below what it is about; long lines are broken at spaces.
 */
#include "tools/command_policy_print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { WIDTH = 79, LABEL = 12, TEXT_BYTES = 4096 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static bool equal(const char *one, const char *other)
{
	return strcmp(one, other) == 0;
}

/* Control characters escaped, quotes as they are. */
static void clean(const char *text, char *out, size_t size)
{
	char escaped[TEXT_BYTES];
	size_t length, i = 0, used = 0;

	log_escape(text, strlen(text), escaped, sizeof(escaped));
	length = strlen(escaped);
	if (length >= 2 && escaped[0] == '"') {
		i = 1;
		length--;
	}
	for (; i < length && used + 1 < size; i++) {
		if (escaped[i] == '\\' && escaped[i + 1] == '"')
			continue;
		out[used++] = escaped[i];
	}
	out[used] = '\0';
}

/* text from column on, which the cursor has reached; further lines begin
 * there, too. */
static void wrap(size_t column, const char *text)
{
	char shown[TEXT_BYTES], *word, *rest = shown;
	size_t at = column, length;

	clean(text, shown, sizeof(shown));
	while ((word = strsep(&rest, " ")) != NULL) {
		length = strlen(word);
		if (at > column && at + 1 + length > WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		fputs(word, stdout);
		at += length;
	}
	putchar('\n');
}

static void line(size_t indent, const char *text)
{
	printf("%*s", (int)indent, "");
	wrap(indent, text);
}

/* "      label       text" */
static void labelled(size_t indent, const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	printf("%*s%-*s", (int)indent, "", LABEL, label);
	wrap(indent + LABEL, text);
}

/* 5400 is "90m". */
static void duration(long long seconds, char *out, size_t size)
{
	static const struct { long long seconds; char unit; } units[] = {
		{ 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	size_t i;

	for (i = 0; i < 3; i++)
		if (seconds > 0 && seconds % units[i].seconds == 0) {
			snprintf(out, size, "%lld%c", seconds /
			    units[i].seconds, units[i].unit);
			return;
		}
	snprintf(out, size, "%llds", seconds);
}

/* The texts of an array, with a separator between. */
static void join(const json_t *array, const char *separator, char *out,
    size_t size)
{
	size_t i, used = 0;
	const char *item;

	out[0] = '\0';
	for (i = 0; i < json_array_size(array); i++) {
		item = json_string_value(json_array_get(array, i));
		if (item == NULL || used + strlen(item) + 8 >= size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? separator : "", item);
	}
}

/* --- facts --- */

static void print_tlsa(const json_t *item)
{
	char shown[TEXT_BYTES];

	if (is_true(item, "usable"))
		snprintf(shown, sizeof(shown), "%s", text_of(item, "record"));
	else
		snprintf(shown, sizeof(shown), "%s  (of no use: %s)",
		    text_of(item, "record"), text_of(item, "why"));
	line(6, shown);
}

static void print_policy(const json_t *item)
{
	char shown[TEXT_BYTES], patterns[TEXT_BYTES / 2], age[32];

	join(json_object_get(item, "mx"), ", ", patterns, sizeof(patterns));
	duration(number_of(item, "max-age"), age, sizeof(age));
	snprintf(shown, sizeof(shown), "mode %s, id %s, valid for %s, %s; mail "
	    "hosts: %s", text_of(item, "mode"), text_of(item, "id"), age,
	    is_true(item, "remembered") ? "remembered" : "fetched just now",
	    patterns[0] == '\0' ? "none" : patterns);
	line(6, shown);
}

static void print_item(const char *query, const json_t *item)
{
	char shown[TEXT_BYTES];

	if (equal(query, "TLSA")) {
		print_tlsa(item);
	} else if (strncmp(query, "STS", 3) == 0) {
		print_policy(item);
	} else if (equal(query, "MX")) {
		snprintf(shown, sizeof(shown), "%lld %s", number_of(item,
		    "preference"), text_of(item, "host"));
		line(6, shown);
	} else {
		line(6, json_is_string(item) ? json_string_value(item) : "");
	}
}

/* What DNSSEC says of it, or that there is no answer to say it of. */
static void print_worth(const json_t *fact)
{
	const char *dnssec = text_of(fact, "dnssec");
	bool policy = strncmp(text_of(fact, "query"), "STS", 3) == 0;
	char ttl[32];

	if (equal(dnssec, "bogus")) {
		printf("BOGUS: the signatures do not hold\n");
	} else if (equal(dnssec, "error")) {
		printf("ERROR: no usable answer\n");
	} else if (policy) {	/* DNSSEC is of no account: RFC 8461 2 */
		printf("ok\n");
	} else {
		duration(number_of(fact, "ttl"), ttl, sizeof(ttl));
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
	return query;
}

static void print_nothing(const json_t *fact)
{
	const char *result = text_of(fact, "result");
	bool policy = strncmp(text_of(fact, "query"), "STS", 3) == 0;

	if (equal(result, "nxdomain"))
		line(6, "there is no such name");
	else if (equal(result, "nodata"))
		line(6, policy ? "no policy is in force" :
		    "the name has no such record");
}

static void print_fact(const json_t *fact)
{
	const char *query = text_of(fact, "query");
	const json_t *data = json_object_get(fact, "data");
	char head[TEXT_BYTES], name[TEXT_BYTES], shown[TEXT_BYTES];
	size_t i;

	clean(text_of(fact, "name"), name, sizeof(name));
	snprintf(head, sizeof(head), "%s %.400s", query_title(query), name);
	printf("  %-44s  ", head);
	print_worth(fact);
	if (text_of(fact, "alias")[0] != '\0' && !equal(query, "CNAME")) {
		snprintf(shown, sizeof(shown), "an alias (CNAME) of %s",
		    text_of(fact, "alias"));
		line(6, shown);
	}
	for (i = 0; i < json_array_size(data); i++)
		print_item(query, json_array_get(data, i));
	if (number_of(fact, "more") > 0)
		printf("      and %lld more\n", number_of(fact, "more"));
	print_nothing(fact);
	if (text_of(fact, "reason")[0] != '\0')
		line(6, text_of(fact, "reason"));
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
			line(2, subject);
		before = subject;
		snprintf(shown, sizeof(shown), text_of(note,
		    "clause")[0] == '\0' ? "%s%s" : "%s [%s]",
		    text_of(note, "text"), text_of(note, "clause"));
		line(6, shown);
	}
}

/* --- the plan --- */

/* What is asked of a host, by requirement and who asks for it. */
static const char *wanted(const json_t *host)
{
	const char *requirement = text_of(host, "requirement");
	const char *source = text_of(host, "source");

	if (equal(requirement, "dane"))
		return is_true(host, "also-name") ? "TLS, and a certificate "
		    "that its TLSA records name (DANE) and that a known "
		    "authority gave it (MTA-STS)" : equal(source, "half-dane") ?
		    "TLS, and a certificate that its TLSA records name (DANE, "
		    "but the MX record that named the host is not signed)" :
		    "TLS, and a certificate that its TLSA records name (DANE)";
	if (equal(requirement, "name"))
		return equal(source, "sts") ? "TLS, and a certificate of a "
		    "known authority for its name (MTA-STS)" : "TLS, and a "
		    "certificate of a known authority for one of the names";
	if (equal(requirement, "fingerprint"))
		return "TLS, and the certificate or key of a fingerprint";
	if (equal(requirement, "encrypted"))
		return "TLS; whose certificate it is does not matter";
	if (equal(requirement, "opportunistic"))
		return "nothing; TLS is used if it offers it, whoever it is";
	return "nothing; TLS is not used (level none)";
}

/* The same in the one sentence that comes first. */
static const char *in_short(const json_t *host)
{
	const char *requirement = text_of(host, "requirement");
	const char *source = text_of(host, "source");

	if (equal(requirement, "dane"))
		return equal(source, "half-dane") ? "over TLS that its TLSA "
		    "records authenticate, although the MX record that named "
		    "it is not signed" : "over TLS that its TLSA records "
		    "authenticate (DANE)";
	if (equal(requirement, "name"))
		return equal(source, "sts") ? "over TLS with a certificate "
		    "for its name (MTA-STS)" : "over TLS with a certificate "
		    "for one of the names of the configuration";
	if (equal(requirement, "fingerprint"))
		return "over TLS with a certificate or key of the "
		    "configuration";
	if (equal(requirement, "encrypted"))
		return "over TLS, whoever answers";
	if (equal(requirement, "opportunistic"))
		return "over TLS if it offers it, whoever answers";
	return "in clear: TLS is not used";
}

/* "clear-after 14400" for people. */
static void fallback_words(const char *fallback, char *out, size_t size)
{
	long long seconds = 0;
	char age[32];

	if (sscanf(fallback, "clear-after %lld", &seconds) == 1) {
		duration(seconds, age, sizeof(age));
		snprintf(out, size, "the message waits until it is %s old, "
		    "then goes in clear", age);
	} else {
		snprintf(out, size, "%s", equal(fallback, "clear") ?
		    "the message goes in clear" : "the message waits");
	}
}

static void print_otherwise(const json_t *plan, const json_t *host)
{
	const char *requirement = text_of(host, "requirement");
	char words[160], shown[400];

	if (equal(requirement, "clear"))
		return;
	if (!equal(requirement, "opportunistic")) {
		labelled(6, "otherwise", "no mail to this host: the next one "
		    "is tried, or the message waits");
		return;
	}
	fallback_words(text_of(plan, "no-starttls"), words, sizeof(words));
	snprintf(shown, sizeof(shown), "it offers no TLS: %s", words);
	labelled(6, "otherwise", shown);
	fallback_words(text_of(plan, "broken-tls"), words, sizeof(words));
	snprintf(shown, sizeof(shown), "its TLS is broken: %s", words);
	labelled(6, "", shown);
}

/* In one line each, however long, for those who compare and copy them. */
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

static void print_records(const json_t *records)
{
	const char *record;
	char shown[TEXT_BYTES];
	size_t i;

	for (i = 0; i < json_array_size(records); i++) {
		record = json_string_value(json_array_get(records, i));
		clean(record == NULL ? "" : record, shown, sizeof(shown));
		printf("%*s%-*s%s\n", 6, "", LABEL, i == 0 ? "records" : "",
		    shown);
	}
}

static void print_host(const json_t *plan, const json_t *host, size_t number)
{
	const json_t *skipped = json_object_get(host, "skipped");
	const char *requirement = text_of(host, "requirement");
	char names[TEXT_BYTES], name[TEXT_BYTES];
	bool named = equal(requirement, "dane") || equal(requirement, "name");

	clean(text_of(host, "name"), name, sizeof(name));
	printf("  %zu. %s", number, name);
	if (is_true(json_object_get(plan, "next-hop"), "mx"))
		printf(", preference %lld", number_of(host, "preference"));
	printf("%s\n", is_true(host, "skip") ? ": left out" : "");
	if (is_true(host, "skip")) {
		labelled(6, "because", text_of(skipped, "text"));
		return;
	}
	join(json_object_get(host, "addresses"), ", ", names, sizeof(names));
	labelled(6, "addresses", names);
	labelled(6, "must show", wanted(host));
	if (equal(requirement, "dane"))
		print_records(json_object_get(host, "tlsa"));
	join(json_object_get(host, "names"), ", ", names, sizeof(names));
	if (named && (!equal(requirement, "dane") || has_anchor(host)))
		labelled(6, "names", names);
	if (equal(requirement, "fingerprint")) {
		join(json_object_get(plan, "fingerprints"), " ", names,
		    sizeof(names));
		labelled(6, "sha-256", names);
	}
	print_otherwise(plan, host);
	labelled(6, "because", text_of(host, "reason"));
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

/* One sentence: the answer, before all that it was made from. */
static void print_verdict(const json_t *plan)
{
	const json_t *status = json_object_get(plan, "status");
	const json_t *first = first_host(plan);
	char shown[TEXT_BYTES];

	if (text_of(plan, "transport")[0] != '\0') {
		snprintf(shown, sizeof(shown), "%s: %s", text_of(plan,
		    "domain"), equal(text_of(plan, "transport"), "maildir") ?
		    "its mail is put into mailboxes here; nothing is sent" :
		    "its mail is discarded (route); nothing is sent");
	} else if (status != NULL) {
		snprintf(shown, sizeof(shown), "%s: mail %s (%s): %s",
		    text_of(plan, "domain"), equal(text_of(status, "outcome"),
		    "failed") ? "is returned to its sender" : "waits",
		    text_of(status, "status"), text_of(status, "text"));
	} else if (first != NULL) {
		snprintf(shown, sizeof(shown), "%s: mail goes to %s, %s",
		    text_of(plan, "domain"), text_of(first, "name"),
		    in_short(first));
	} else {
		snprintf(shown, sizeof(shown), "%s: no host",
		    text_of(plan, "domain"));
	}
	wrap(0, shown);
	if (text_of(plan, "alarm")[0] != '\0') {
		printf("ALARM: ");
		wrap(7, text_of(plan, "alarm"));
	}
}

static void print_plan(const json_t *plan)
{
	const json_t *next = json_object_get(plan, "next-hop");
	const json_t *hosts = json_object_get(plan, "hosts");
	char head[TEXT_BYTES];
	size_t i;

	snprintf(head, sizeof(head), "The plan for %s%s, port %lld%s, at level "
	    "%s (destination %s)", is_true(next, "mx") ? "the MX of " : "",
	    text_of(next, "host"), number_of(next, "port"),
	    equal(text_of(next, "tls"), "implicit") ?
	    ", with TLS from the first byte" : "", text_of(plan, "level"),
	    text_of(plan, "destination"));
	putchar('\n');
	wrap(0, head);
	if (json_array_size(hosts) == 0)
		printf("  no host\n");
	for (i = 0; i < json_array_size(hosts); i++)
		print_host(plan, json_array_get(hosts, i), i + 1);
}

void policy_print_explanation(const json_t *object)
{
	print_verdict(object);
	if (text_of(object, "transport")[0] != '\0')
		return;
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

/* --- probes --- */

static void print_certificate(const json_t *shown, size_t depth)
{
	char label[32], dates[80];

	snprintf(label, sizeof(label), "chain %zu", depth);
	labelled(4, label, text_of(shown, "subject"));
	labelled(4, "  issuer", text_of(shown, "issuer"));
	labelled(4, "  names", text_of(shown, "names"));
	snprintf(dates, sizeof(dates), "%.30s to %.30s", text_of(shown,
	    "not-before"), text_of(shown, "not-after"));
	labelled(4, "  valid", dates);
	labelled(4, "  sha-256", text_of(shown, "certificate-sha256"));
	labelled(4, "  of key", text_of(shown, "key-sha256"));
}

static void print_tls(const json_t *tls)
{
	const json_t *chain = json_object_get(tls, "chain");
	char shown[TEXT_BYTES];
	size_t i;

	snprintf(shown, sizeof(shown), "%s %s %s", text_of(tls, "version"),
	    text_of(tls, "cipher"), text_of(tls, "group"));
	if (text_of(tls, "version")[0] != '\0')
		labelled(4, "TLS", shown);
	labelled(4, "asked for", text_of(tls, "sni"));
	labelled(4, "matched", text_of(tls, "matched-tlsa"));
	labelled(4, "matched", text_of(tls, "matched-name"));
	labelled(4, "problem", text_of(tls, "problem"));
	for (i = 0; i < json_array_size(chain); i++)
		print_certificate(json_array_get(chain, i), i);
}

void policy_print_probe(const json_t *object)
{
	const json_t *tls = json_object_get(object, "tls");
	char shown[TEXT_BYTES], host[TEXT_BYTES], address[TEXT_BYTES];
	bool mail = is_true(object, "mail");

	clean(text_of(object, "host"), host, sizeof(host));
	clean(text_of(object, "address"), address, sizeof(address));
	printf("%s", host);
	if (address[0] != '\0' && strcmp(address, host) != 0)
		printf(" [%s]", address);
	if (number_of(object, "port") > 0)
		printf(" port %lld", number_of(object, "port"));
	printf("\n");
	snprintf(shown, sizeof(shown), "%s: %s", text_of(object, "verdict"),
	    mail ? "mail would go here" : "no mail here");
	labelled(4, "verdict", shown);
	labelled(4, "because", text_of(object, "text"));
	if (json_is_object(tls))
		print_tls(tls);
	printf("\n");
}

/* --- what is remembered --- */

void policy_print_remembered(const json_t *object)
{
	char shown[TEXT_BYTES], patterns[TEXT_BYTES / 2];

	line(0, text_of(object, "domain"));
	snprintf(shown, sizeof(shown), "%s, id %s, fetched %s, expires %s",
	    text_of(object, "mode"), text_of(object, "id"),
	    text_of(object, "fetched"), text_of(object, "expires"));
	labelled(4, "mode", shown);
	join(json_object_get(object, "mx"), ", ", patterns, sizeof(patterns));
	labelled(4, "mail hosts", patterns);
}
