/* SPDX-License-Identifier: ISC */
/*
 * Findings, certificates by listener, and the check that needs no network.
 */
#include "tools/published.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/tls_certificate.h"
#include "conf/bundle.h"
#include "conf/problem.h"
#include "conf/settings.h"
#include "conf/sts.h"
#include "tools/command_text.h"

enum { TEXT_MAX = 1024 };

/* --- findings --- */

static const char *const kind_names[] = { [FINDING_OK] = "ok",
    [FINDING_NOTE] = "note", [FINDING_PROBLEM] = "problem" };

void findings_init(struct findings *findings)
{
	findings->list = json_array();
	findings->problems = 0;
}

void findings_release(struct findings *findings)
{
	json_decref(findings->list);
	findings->list = NULL;
}

void findings_add(struct findings *findings, enum finding_kind kind,
    const char *about, const char *format, ...)
{
	char text[TEXT_MAX], clean[TEXT_MAX * 4];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	text_clean(text, clean, sizeof(clean));
	json_array_append_new(findings->list, json_pack("{s:s, s:s, s:s}",
	    "kind", kind_names[kind], "about", about, "text", clean));
	findings->problems += kind == FINDING_PROBLEM;
}

void findings_print(const struct findings *findings)
{
	const json_t *one;
	size_t i;

	json_array_foreach(findings->list, i, one) {
		const char *kind = text_of(one, "kind");

		printf("%-9s", strcmp(kind, "problem") == 0 ? "PROBLEM" :
		    kind);
		text_wrap(9, text_of(one, "text"));
	}
}

/* --- certificates --- */

static bool shows(const struct conf_listener *listener, const char *name)
{
	for (size_t i = 0; i < listener->certificates.count; i++)
		if (strcasecmp(listener->certificates.items[i], name) == 0)
			return true;
	return listener->certificates.count == 0;
}

bool published_is_shown(const struct conf *conf, enum conf_service service,
    size_t i)
{
	for (size_t k = 0; k < conf->listener_count; k++)
		if (conf->listeners[k].service == service &&
		    conf->listeners[k].tls != LISTENER_TLS_NONE &&
		    shows(&conf->listeners[k], conf->certificates[i].name))
			return true;
	return false;
}

bool published_is_served(const struct conf *conf, enum conf_service service)
{
	for (size_t k = 0; k < conf->listener_count; k++)
		if (conf->listeners[k].service == service)
			return true;
	return false;
}

bool published_covers(const struct conf *conf, char *const *chains,
    enum conf_service service, const char *host)
{
	for (size_t i = 0; i < conf->certificate_count; i++)
		if (chains[i] != NULL &&
		    published_is_shown(conf, service, i) &&
		    tls_certificate_covers(chains[i], host))
			return true;
	return false;
}

bool published_is_used(const struct conf *conf, char *const *chains,
    enum conf_service service, const char *host, size_t i)
{
	if (chains[i] == NULL || !published_is_shown(conf, service, i))
		return false;
	if (published_covers(conf, chains, service, host))
		return tls_certificate_covers(chains[i], host);
	for (size_t k = 0; k < i; k++)
		if (published_is_shown(conf, service, k))
			return false;
	return true;
}

bool published_is_used_at(const struct conf *conf, char *const *chains,
    const struct conf_listener *listener, size_t i)
{
	const struct conf_certificate *all = conf->certificates;
	bool first = true, covered = false;

	if (chains[i] == NULL || !shows(listener, all[i].name))
		return false;
	for (size_t k = 0; k < conf->certificate_count; k++) {
		if (chains[k] == NULL || !shows(listener, all[k].name))
			continue;
		first = first && k >= i;
		covered = covered ||
		    tls_certificate_covers(chains[k], conf->hostname);
	}
	return covered ? tls_certificate_covers(chains[i], conf->hostname) :
	    first;
}

/* --- without the network --- */

/* Where in the file a problem is told. */
struct places {
	struct settings	 settings;
	struct problems	 problems;
};

static int line_of(const struct places *places, size_t domain)
{
	return settings_line(&places->settings, SECTION_DOMAIN, domain,
	    "mta-sts");
}

static void check_domain(const struct conf *conf, char *const *chains,
    size_t i, struct places *places)
{
	const struct conf_domain *domain = &conf->domains[i];
	char host[300];

	if (domain->sts != STS_PUBLISH_ENFORCE)
		return;
	snprintf(host, sizeof(host), "mta-sts.%s", domain->name);
	if (published_is_served(conf, SERVICE_MTA_STS) &&
	    !published_covers(conf, chains, SERVICE_MTA_STS, host))
		problems_add(&places->problems, line_of(places, i),
		    "domain %.80s: mta-sts = enforce, but no certificate that "
		    "the listener of policies shows is for %.100s; get one "
		    "that has this name and write a certificate section for "
		    "it, or write mta-sts = testing", domain->name, host);
	if (published_is_served(conf, SERVICE_SMTP) &&
	    conf_sts_names(domain, conf->hostname) &&
	    !published_covers(conf, chains, SERVICE_SMTP, conf->hostname))
		problems_add(&places->problems, line_of(places, i),
		    "domain %.80s: mta-sts = enforce, but no certificate that "
		    "is shown to those who send mail is for %.100s, which the "
		    "policy names; get one that has this name and write a "
		    "certificate section for it, or write mta-sts = testing",
		    domain->name, conf->hostname);
}

int published_check_offline(const struct conf *conf,
    const struct bundle *bundle, char **errors)
{
	struct problems ignored;
	struct places places;
	char **chains = mem_alloc_array(conf->certificate_count + 1,
	    sizeof(*chains));

	for (size_t i = 0; i < conf->certificate_count; i++) {
		const struct bundle_file *file = bundle_file(bundle,
		    conf->certificates[i].chain);

		chains[i] = file == NULL ? NULL : file->contents;
	}
	problems_init(&ignored, bundle->name);
	problems_init(&places.problems, bundle->name);
	settings_read(&places.settings, bundle->text, &ignored);
	for (size_t i = 0; i < conf->domain_count; i++)
		check_domain(conf, chains, i, &places);
	settings_release(&places.settings);
	problems_release(&ignored);
	mem_free(chains);
	*errors = problems_take(&places.problems);
	return *errors == NULL ? 0 : -1;
}
