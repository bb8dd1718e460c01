/* SPDX-License-Identifier: ISC */
/*
 * Which certificates there are is what the bundle has for this role: those
 * that listeners with service = mta-sts show.
 */
#include "smtpd/sts_site.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/sts.h"

void sts_site_free(struct sts_site *site)
{
	if (site == NULL)
		return;
	for (size_t i = 0; i < site->page_count; i++) {
		mem_free(site->pages[i].host);
		mem_free(site->pages[i].text);
	}
	mem_free(site->pages);
	tls_server_free(site->tls);
	conf_free(site->conf);
	mem_free(site);
}

const struct sts_page *sts_site_find(const struct sts_site *site,
    const char *host)
{
	for (size_t i = 0; i < site->page_count; i++)
		if (strcmp(site->pages[i].host, host) == 0)
			return &site->pages[i];
	return NULL;
}

static int add_certificates(struct sts_site *site,
    const struct bundle *bundle, char *error, size_t size)
{
	for (size_t i = 0; i < site->conf->certificate_count; i++) {
		const struct conf_certificate *one =
		    &site->conf->certificates[i];
		const struct bundle_file *chain =
		    bundle_file(bundle, one->chain);
		const struct bundle_file *key = bundle_file(bundle, one->key);

		if (chain != NULL && key != NULL && tls_server_add(site->tls,
		    one->name, chain->contents, key->contents, error,
		    size) == -1)
			return -1;
	}
	if (tls_server_is_empty(site->tls))
		log_warn("no certificate for the MTA-STS policies");
	return 0;
}

static void add_pages(struct sts_site *site, const struct bundle *bundle)
{
	const struct bundle_file *file = bundle_file(bundle,
	    site->conf->sts_approvals_file);
	struct sts_approvals approvals;
	size_t bad = 0;

	sts_approvals_init(&approvals);
	if (file != NULL)
		bad = sts_approvals_read(&approvals, file->contents);
	if (bad > 0)
		log_warn("sts-approvals-file", log_number("bad-lines",
		    (int64_t)bad));
	site->pages = mem_alloc_array(site->conf->domain_count + 1,
	    sizeof(*site->pages));
	for (size_t i = 0; i < site->conf->domain_count; i++) {
		const struct conf_domain *domain = &site->conf->domains[i];
		struct sts_page *page = &site->pages[site->page_count];
		enum sts_force how;

		page->text = conf_sts_in_force(domain, &approvals, &how);
		if (how == STS_FORCE_NOTHING)
			continue;
		page->host = mem_print("mta-sts.%s", domain->name);
		site->page_count++;
		if (how == STS_FORCE_TESTING || how == STS_FORCE_EARLIER)
			log_warn("sts-not-approved", log_text("domain",
			    domain->name), log_text("serves", how ==
			    STS_FORCE_TESTING ? "testing" :
			    "an earlier policy"));
	}
	sts_approvals_release(&approvals);
}

struct sts_site *sts_site_new(const void *data, size_t length, char *error,
    size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct sts_site *site;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration came damaged");
		return NULL;
	}
	site = mem_alloc(sizeof(*site));
	site->tls = tls_server_new();
	tls_server_refuse_unknown(site->tls);
	site->conf = conf_read(bundle->name, bundle->text, &errors);
	if (site->conf == NULL) {
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
	} else if (add_certificates(site, bundle, error, size) == 0) {
		add_pages(site, bundle);
		bundle_free(bundle);
		mem_free(errors);
		return site;
	}
	mem_free(errors);
	bundle_free(bundle);
	sts_site_free(site);
	return NULL;
}
