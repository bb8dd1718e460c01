/* SPDX-License-Identifier: ISC */
/*
 * Records come from the configuration and its certificates alone; `check`
 * looks at what is published of them. A record whose name is not in the zone
 * of the domain (the mail host of another domain) is printed as a comment, so
 * that a name server loads the rest as it stands.
 */
#include "tools/command_dns.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "authentic/dkim_key.h"
#include "base/address.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/idn.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_certificate.h"
#include "conf/sts.h"
#include "policy/own_addresses.h"
#include "tools/command.h"
#include "tools/command_dkim.h"
#include "tools/command_text.h"
#include "tools/outside.h"
#include "tools/published.h"

enum { TTL = 3600, DATA_MAX = 2300, NAME_MAX_BYTES = 300, PORTS_MAX = 32,
    PREFERENCE = 10, BACKUP_PREFERENCE = 20 };

static const struct command dns_command = { "dns", "[check] DOMAIN [FILE] "
    "[-j] [-c FILE]",
    "Prints every record that a domain of ours needs, as a zone file: MX, "
    "TLSA from\nthe configured certificates, SPF, DKIM, DMARC, MTA-STS, TLS "
    "reports, SRV. "
    "FILE is a certificate\n(PEM) that will be used next: its TLSA records "
    "are printed, too. `dns check`\nlooks whether the published MX and TLSA "
    "records are right for the certificates.", command_dns };

/* What is being printed. */
struct sheet {
	const struct conf		*conf;
	const struct conf_domain	*domain;
	char				*const *chains;
	const char			*next;		/* PEM; or null */
	bool				 json;
};

/* --- writing --- */

static void say(const struct sheet *sheet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct sheet *sheet, const char *format, ...)
{
	va_list list;

	if (sheet->json)
		return;
	va_start(list, format);
	fputs("; ", stdout);
	vprintf(format, list);
	putchar('\n');
	va_end(list);
}

static bool is_in_zone(const struct sheet *sheet, const char *name)
{
	size_t length = strlen(name), end = strlen(sheet->domain->name);

	return length >= end && strcasecmp(name + length - end,
	    sheet->domain->name) == 0 &&
	    (length == end || name[length - end - 1] == '.');
}

static void record(const struct sheet *sheet, const char *name,
    const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void record(const struct sheet *sheet, const char *name,
    const char *type, const char *format, ...)
{
	bool in_zone = is_in_zone(sheet, name);
	char data[DATA_MAX];
	json_t *object;
	va_list list;

	va_start(list, format);
	vsnprintf(data, sizeof(data), format, list);
	va_end(list);
	if (!sheet->json) {
		printf("%s%s. %d IN %s %s\n", in_zone ? "" : "; ", name, TTL,
		    type, data);
		return;
	}
	object = json_pack("{s:s, s:i, s:s, s:s, s:b}", "name", name, "ttl",
	    TTL, "type", type, "data", data, "in-zone", in_zone);
	text_print_json(object);
	json_decref(object);
}

/* --- MX and addresses --- */

static void print_mx(const struct sheet *sheet)
{
	const struct conf_domain *domain = sheet->domain;
	const char *hostname = sheet->conf->hostname;
	int preference = domain->relay ? BACKUP_PREFERENCE : PREFERENCE;
	bool named = domain->sts == STS_PUBLISH_NONE ||
	    conf_sts_names(domain, hostname);

	say(sheet, "Mail hosts.");
	if (domain->relay)
		say(sheet, "This host sends its mail on: a lower number "
		    "belongs to the host that keeps it.");
	if (named)
		record(sheet, domain->name, "MX", "%d %s.", preference,
		    hostname);
	for (size_t i = 0; domain->sts != STS_PUBLISH_NONE &&
	    i < domain->sts_mx.count; i++) {
		const char *other = domain->sts_mx.items[i];

		if (other[0] != '*' && strcasecmp(other, hostname) != 0)
			record(sheet, domain->name, "MX", "%d %s.",
			    BACKUP_PREFERENCE, other);
	}
}

static bool is_worth_naming(const struct endpoint *address)
{
	return !endpoint_is_loopback(address) &&
	    fetch_is_public(address, false);
}

static void print_addresses(const struct sheet *sheet)
{
	struct own_addresses own = { .count = 0 };
	unsigned count = 0;
	char text[ENDPOINT_TEXT_MAX];

	own_addresses_read(&own);
	say(sheet, "Addresses of %s, as this machine has them; their reverse "
	    "names", sheet->conf->hostname);
	say(sheet, "should lead back to it.");
	for (size_t i = 0; i < own.count; i++) {
		if (!is_worth_naming(&own.items[i]))
			continue;
		endpoint_format(&own.items[i], text, sizeof(text));
		record(sheet, sheet->conf->hostname, strchr(text, ':') !=
		    NULL ? "AAAA" : "A", "%s", text);
		count++;
	}
	if (count == 0)
		say(sheet, "%s. %d IN A <the address of this host: none of its "
		    "own is public>", sheet->conf->hostname, TTL);
}

/* --- TLSA --- */

static void print_digest(const struct sheet *sheet, unsigned port,
    const char *parameters, const uint8_t digest[DIGEST_BYTES])
{
	char name[NAME_MAX_BYTES], text[DIGEST_BYTES * 2 + 1];

	snprintf(name, sizeof(name), "_%u._tcp.%s", port,
	    sheet->conf->hostname);
	hex_format(digest, DIGEST_BYTES, text, sizeof(text));
	record(sheet, name, "TLSA", "%s %s", parameters, text);
}

/* DANE-150: the key of the leaf, which lives through renewals that keep it. */
static void print_leaf(const struct sheet *sheet, unsigned port,
    const char *chain, const char *what)
{
	uint8_t digest[DIGEST_BYTES];
	struct tls_shown shown;

	if (tls_certificate_digest(chain, 0, true, digest) == -1 ||
	    tls_certificate_read(chain, &shown) == -1)
		return;
	say(sheet, "%s (until %s):", what, shown.not_after);
	print_digest(sheet, port, "3 1 1", digest);
}

/* The other way: the authority that is shown, of which the names count. */
static void print_authority(const struct sheet *sheet, unsigned port,
    const char *chain)
{
	size_t depth = tls_certificate_count(chain);
	uint8_t digest[DIGEST_BYTES];
	char text[DIGEST_BYTES * 2 + 1];

	if (depth < 2 || !tls_certificate_is_authority(chain, depth - 1) ||
	    tls_certificate_digest(chain, depth - 1, false, digest) == -1)
		return;
	hex_format(digest, DIGEST_BYTES, text, sizeof(text));
	say(sheet, "instead of 3 1 1, while this authority stays and is shown "
	    "(RFC 7671 5.2):");
	say(sheet, "_%u._tcp.%s. %d IN TLSA 2 0 1 %s", port,
	    sheet->conf->hostname, TTL, text);
}

static void print_tlsa_of(const struct sheet *sheet,
    const struct conf_listener *listener)
{
	const struct conf *conf = sheet->conf;
	unsigned port = (unsigned)listener->port;
	bool any = false;
	char what[200];

	for (size_t i = 0; i < conf->certificate_count; i++) {
		if (!published_is_used_at(conf, sheet->chains, listener, i))
			continue;
		any = true;
		snprintf(what, sizeof(what), "port %u, certificate %.80s",
		    port, conf->certificates[i].name);
		print_leaf(sheet, port, sheet->chains[i], what);
		print_authority(sheet, port, sheet->chains[i]);
		if (!tls_certificate_covers(sheet->chains[i], conf->hostname))
			say(sheet, "WARNING: certificate %.80s is not for %s; "
			    "MTA-STS and 2 0 1 need a name in it",
			    conf->certificates[i].name, conf->hostname);
	}
	if (any && sheet->next != NULL)
		print_leaf(sheet, port, sheet->next, "the next certificate");
	if (!any)
		say(sheet, "Port %u has no certificate: publish no TLSA record "
		    "for it.", port);
}

/* Ports of listeners with TLS, each once; how many. */
static size_t list_ports(const struct conf *conf, const struct conf_listener
    *ports[PORTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *one = &conf->listeners[i];
		bool mail = one->service == SERVICE_SMTP ||
		    one->service == SERVICE_SUBMISSION;
		size_t k = 0;

		if (!mail || one->socket[0] != '\0' ||
		    one->tls == LISTENER_TLS_NONE)
			continue;
		while (k < count && ports[k]->port != one->port)
			k++;
		if (k == count && count < PORTS_MAX)
			ports[count++] = one;
	}
	return count;
}

static void print_tlsa(const struct sheet *sheet)
{
	const struct conf_listener *ports[PORTS_MAX];
	size_t count = list_ports(sheet->conf, ports);

	say(sheet, "DANE (RFC 7672): only if this zone is signed. A new key: "
	    "publish its");
	say(sheet, "record beside the old one, wait two hours (twice the time "
	    "to live), use the");
	say(sheet, "key, and then remove the old record (RFC 7671 8.1).");
	for (size_t i = 0; i < count; i++)
		print_tlsa_of(sheet, ports[i]);
}

/* --- texts --- */

static void print_sts(const struct sheet *sheet,
    const struct sts_approvals *approvals)
{
	const struct conf_domain *domain = sheet->domain;
	char name[NAME_MAX_BYTES], id[CONF_STS_ID_MAX + 1];
	enum sts_force how;
	char *text = conf_sts_in_force(domain, approvals, &how), *txt;

	if (text == NULL) {
		say(sheet, "MTA-STS: no policy; see mta-sts in "
		    "postern.conf(5).");
		return;
	}
	conf_sts_id(text, id);
	txt = conf_sts_record(id);
	say(sheet, "MTA-STS (RFC 8461): the id of the policy in force; publish "
	    "the record when the");
	say(sheet, "policy is served. See `postern sts status %s`.",
	    domain->name);
	snprintf(name, sizeof(name), "_mta-sts.%s", domain->name);
	record(sheet, name, "TXT", "\"%s\"", txt);
	if (published_is_served(sheet->conf, SERVICE_MTA_STS)) {
		snprintf(name, sizeof(name), "mta-sts.%s", domain->name);
		record(sheet, name, "CNAME", "%s.", sheet->conf->hostname);
	} else {
		say(sheet, "mta-sts.%s: the address of the web server that "
		    "serves the policy", domain->name);
	}
	mem_free(txt);
	mem_free(text);
}

/* RFC 3986 2.3: the rest of an address is written as %XX. */
static void format_mailto(const char *address, char *out, size_t size)
{
	size_t at = 0;

	for (; *address != '\0' && at + 4 < size; address++) {
		unsigned char c = (unsigned char)*address;

		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
		    "yz0123456789-._~@", c) != NULL)
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, size - at, "%%%02X",
			    c);
	}
	out[at] = '\0';
}

static void print_reports(const struct sheet *sheet)
{
	char name[NAME_MAX_BYTES], address[400];

	snprintf(name, sizeof(name), "_smtp._tls.%s", sheet->domain->name);
	format_mailto(sheet->conf->postmaster, address, sizeof(address));
	say(sheet, "Where others report TLS that failed (RFC 8460).");
	record(sheet, name, "TXT", "\"v=TLSRPTv1; rua=mailto:%s\"", address);
}

/* RFC 7208. Mail hosts send; this one, too, also under its own name. */
static void print_spf(const struct sheet *sheet)
{
	const struct conf *conf = sheet->conf;
	const struct conf_route *all = conf_route_find(conf, "spf.invalid");
	char more[400] = "";
	size_t at = 0;

	for (size_t i = 0; i < conf->source_addresses.count; i++) {
		const char *text = conf->source_addresses.items[i];

		at += (size_t)snprintf(more + at, sizeof(more) - at,
		    " ip%d:%.60s", strchr(text, ':') != NULL ? 6 : 4, text);
	}
	if (sheet->domain->sts != STS_PUBLISH_NONE &&
	    !conf_sts_names(sheet->domain, conf->hostname))
		snprintf(more + at, sizeof(more) - at, " a:%.255s",
		    conf->hostname);
	say(sheet, "Who sends mail of this domain (RFC 7208): its mail "
	    "hosts%s.", more[0] != '\0' ? " and this one" : "");
	if (all != NULL && all->host[0] != '\0')
		say(sheet, "WARNING: mail to others leaves through %.200s: add "
		    "what its owner says", all->host);
	record(sheet, sheet->domain->name, "TXT", "\"v=spf1 mx%s -all\"",
	    more);
	if (strcasecmp(conf->hostname, sheet->domain->name) != 0)
		record(sheet, conf->hostname, "TXT", "\"v=spf1 a -all\"");
}

/* The keys of this domain, whatever their state: those that wait have to be
 * published before they sign, those that have retired stay for a while. True if
 * one of them signs. */
static bool print_keys(const struct sheet *sheet, const struct dkim_keys *keys)
{
	char name[NAME_MAX_BYTES * 2], data[DKIM_QUOTED_MAX];
	bool active = false;

	for (size_t i = 0; keys != NULL && i < keys->count; i++) {
		const struct dkim_key *key = &keys->items[i];

		if (strcmp(key->domain, sheet->domain->name) != 0 ||
		    dkim_quote_record(key, data) == -1)
			continue;
		dkim_record_name(key, name, sizeof(name));
		say(sheet, "DKIM (RFC 6376), %s:", dkim_state_name(key->state));
		record(sheet, name, "TXT", "%s", data);
		active = active || key->state == DKIM_ACTIVE;
	}
	return active;
}

static void print_dkim(const struct sheet *sheet)
{
	const char *path = sheet->conf->dkim_keys_file;
	char *text = outside_read_file(path), *errors = NULL;
	struct dkim_keys *keys = NULL;
	char name[NAME_MAX_BYTES], address[400];
	bool signs;

	if (text == NULL && errno != ENOENT)
		say(sheet, "DKIM: %s: %s", path, strerror(errno));
	if (text != NULL)
		keys = dkim_keys_read(path, text, &errors);
	signs = print_keys(sheet, keys);
	if (!signs)
		say(sheet, "DKIM: no key signs mail of this domain: see "
		    "`postern dkim`.");
	dkim_keys_free(keys);
	mem_free(errors);
	if (text != NULL)
		mem_wipe(text, strlen(text));
	mem_free(text);
	say(sheet, "What others do with mail that is not ours (DMARC, RFC "
	    "7489)%s.", signs ? "" : "; more than none only with DKIM");
	snprintf(name, sizeof(name), "_dmarc.%s", sheet->domain->name);
	format_mailto(sheet->conf->postmaster, address, sizeof(address));
	record(sheet, name, "TXT", "\"v=DMARC1; p=%s; rua=mailto:%s\"",
	    signs ? "quarantine" : "none", address);
}

/* RFC 6186, RFC 8314 5.1: how mail programs of our users find us. */
static void print_srv(const struct sheet *sheet)
{
	bool any = false;

	for (size_t i = 0; i < sheet->conf->listener_count; i++) {
		const struct conf_listener *one = &sheet->conf->listeners[i];
		char name[NAME_MAX_BYTES];

		if (one->service != SERVICE_SUBMISSION ||
		    one->socket[0] != '\0')
			continue;
		if (!any)
			say(sheet, "Where mail programs send (RFC 6186, RFC "
			    "8314).");
		any = true;
		snprintf(name, sizeof(name), "_submission%s._tcp.%s",
		    one->tls == LISTENER_TLS_IMPLICIT ? "s" : "",
		    sheet->domain->name);
		record(sheet, name, "SRV", "%d 1 %" PRId64 " %s.",
		    one->tls == LISTENER_TLS_IMPLICIT ? 0 : 10, one->port,
		    sheet->conf->hostname);
	}
}

static void print_sheet(const struct sheet *sheet,
    const struct sts_approvals *approvals)
{
	say(sheet, "Records for %s. What stands behind a semicolon and is a "
	    "record belongs to", sheet->domain->name);
	say(sheet, "another zone, or is a choice.");
	print_mx(sheet);
	print_addresses(sheet);
	print_tlsa(sheet);
	print_sts(sheet, approvals);
	print_reports(sheet);
	print_spf(sheet);
	print_dkim(sheet);
	print_srv(sheet);
}

/* --- check --- */

static void check_mx(struct outside *outside, const char *domain,
    struct findings *findings)
{
	const struct dns_answer *answer = outside_lookup(outside, domain,
	    DNS_MX);
	bool found = false;

	if (answer->result != FACT_DATA) {
		findings_add(findings, FINDING_PROBLEM, "mx", "%s has no MX "
		    "records to be found%s%s", domain, answer->reason[0] !=
		    '\0' ? ": " : "", answer->reason);
		return;
	}
	for (size_t i = 0; i < answer->count; i++)
		found = found || strcasecmp(answer->mx[i].host,
		    outside->conf->hostname) == 0;
	findings_add(findings, found ? FINDING_OK : FINDING_PROBLEM, "mx",
	    "%s is %s mail host of %s", outside->conf->hostname, found ? "a" :
	    "not a", domain);
}

static int run_check(struct outside *outside, const char *domain, bool json)
{
	const struct conf_listener *ports[PORTS_MAX];
	size_t count = list_ports(outside->conf, ports);
	struct findings findings;
	const json_t *one;
	unsigned problems;
	size_t i;

	findings_init(&findings);
	check_mx(outside, domain, &findings);
	for (i = 0; i < count; i++)
		published_check_tlsa(outside, ports[i], &findings);
	if (json)
		json_array_foreach(findings.list, i, one)
			text_print_json(one);
	else
		findings_print(&findings);
	problems = findings.problems;
	findings_release(&findings);
	return problems > 0 ? CONTROL_NONE_MATCHED : CONTROL_OK;
}

/* --- the command --- */

/* Fills domain and looks it up; an exit status, or -1. */
static int find_domain(const struct outside *outside, const char *word,
    const struct conf_domain **domain)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	const char *why = domain_to_ascii(name, sizeof(name), word);

	if (why != NULL)
		return command_usage("postern", &dns_command, why);
	*domain = conf_domain_find(outside->conf, name);
	if (*domain != NULL)
		return -1;
	fprintf(stderr, "postern: %s is no domain of ours: %s has no section "
	    "for it\n", name, outside->path);
	return CONTROL_DATA;
}

static int print(struct outside *outside, const struct conf_domain *domain,
    const char *next_path, bool json)
{
	struct sheet sheet = { .conf = outside->conf, .domain = domain,
	    .chains = outside->chains, .json = json };
	char *approved = outside_read_file(outside->conf->sts_approvals_file);
	struct sts_approvals approvals;
	char *next = NULL;

	if (next_path != NULL) {
		next = outside_read_file(next_path);
		if (next == NULL || tls_certificate_count(next) == 0) {
			fprintf(stderr, "postern: %s: %s\n", next_path, next ==
			    NULL ? strerror(errno) : "there is no certificate "
			    "in it");
			mem_free(next);
			mem_free(approved);
			return CONTROL_DATA;
		}
		sheet.next = next;
	}
	sts_approvals_init(&approvals);
	if (approved != NULL)
		sts_approvals_read(&approvals, approved);
	print_sheet(&sheet, &approvals);
	sts_approvals_release(&approvals);
	mem_free(next);
	mem_free(approved);
	return CONTROL_OK;
}

int command_dns(int argc, char **argv)
{
	const struct conf_domain *domain = NULL;
	struct command_options options;
	struct outside outside;
	int status = command_read_options("postern", &dns_command, &options,
	    &argc, &argv);
	bool check;

	if (status != -1)
		return status;
	check = argc > 0 && strcmp(argv[0], "check") == 0;
	argc -= check;
	argv += check;
	if (argc < 1 || argc > 2 || (check && argc == 2))
		return command_usage("postern", &dns_command,
		    "this command takes one domain");
	status = outside_open(&outside, options.configuration, check);
	if (status == -1)
		status = find_domain(&outside, argv[0], &domain);
	if (status == -1)
		status = check ? run_check(&outside, domain->name,
		    options.json) : print(&outside, domain, argc == 2 ?
		    argv[1] : NULL, options.json);
	outside_close(&outside);
	return status;
}
