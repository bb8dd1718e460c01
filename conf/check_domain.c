/* SPDX-License-Identifier: ISC */
/*
 * Checks of our own domains.
 */
#include "conf/check_private.h"

#include <string.h>

#include "base/hash.h"
#include "conf/sts.h"

enum { WEEK = 7 * 86400 };

static void check_domain_users(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];
	int line = check_line(check, SECTION_DOMAIN, i, "users");

	if (domain->users.count == 0 && domain->users_file[0] == '\0' &&
	    domain->aliases_file[0] == '\0' && domain->catch_all[0] == '\0')
		problems_add(check->problems, line,
		    "domain %.80s has no users; give it users = { NAME, NAME "
		    "}, users-file = PATH, or users = \"*\" for everybody",
		    domain->name);
	for (size_t k = 0; k < domain->users.count; k++) {
		const char *user = domain->users.items[k];

		if (strcmp(user, "*") == 0) {
			if (domain->users.count > 1 ||
			    domain->users_file[0] != '\0')
				problems_add(check->advice, line,
				    "domain %.80s: \"*\" takes everybody, so "
				    "its other users mean nothing",
				    domain->name);
		} else if (strchr(user, '@') != NULL || !check_is_local_part(user)) {
			problems_add(check->problems, line,
			    "domain %.80s: user '%.80s' is not a local part; "
			    "accepted: what stands left of the @ in an address",
			    domain->name, user);
		}
	}
}

/* Mail for it is sent on: what is about keeping it has no place here. */
static void check_domain_relay(const struct check *check, size_t i)
{
	static const char *const kept[] = { "maildir", "quota" };
	const struct conf_domain *domain = &check->conf->domains[i];
	int line = check_line(check, SECTION_DOMAIN, i, "relay");

	for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
		if (check_given(check, SECTION_DOMAIN, i, kept[k]))
			problems_add(check->problems,
			    check_line(check, SECTION_DOMAIN, i, kept[k]),
			    "domain %.80s: %s is for mail that is kept, and "
			    "relay = yes sends it on; remove one of them",
			    domain->name, kept[k]);
	for (size_t k = 0; k < domain->users.count; k++)
		if (strcmp(domain->users.items[k], "*") == 0)
			problems_add(check->advice, line,
			    "domain %.80s: relay = yes for everybody takes "
			    "mail that the next host refuses, and returns it "
			    "to senders who may be forged; list the users",
			    domain->name);
}

static void check_catch_all(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];

	if (domain->catch_all[0] != '\0' &&
	    !check_is_mailbox(domain->catch_all))
		problems_add(check->problems,
		    check_line(check, SECTION_DOMAIN, i, "catch-all"),
		    "domain %.80s: catch-all = %.100s is not an address; "
		    "accepted: LOCAL-PART@DOMAIN", domain->name,
		    domain->catch_all);
}

/* RFC 8461 3.2: a host name, or one with a star for its first label. */
static void check_domain_sts(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];
	bool served = false;

	if (domain->sts_mx.count > CONF_STS_MX_MAX)
		problems_add(check->problems,
		    check_line(check, SECTION_DOMAIN, i, "mta-sts-mx"),
		    "domain %.80s: mta-sts-mx has more than %d names; use "
		    "\"*.DOMAIN\" for hosts of one domain", domain->name,
		    CONF_STS_MX_MAX);
	for (size_t k = 0; k < domain->sts_mx.count; k++) {
		const char *name = domain->sts_mx.items[k];

		if (conf_sts_is_pattern(name) && check_is_host_name(
		    strncmp(name, "*.", 2) == 0 ? name + 2 : name))
			continue;
		problems_add(check->problems,
		    check_line(check, SECTION_DOMAIN, i, "mta-sts-mx"),
		    "domain %.80s: mta-sts-mx: '%.100s' is not a mail host; "
		    "accepted: such as mx.example.org, \"*.example.org\"",
		    domain->name, name);
	}
	for (size_t k = 0; k < check->conf->listener_count; k++)
		served = served || check->conf->listeners[k].service ==
		    SERVICE_MTA_STS;
	if (domain->sts != STS_PUBLISH_NONE && !served)
		problems_add(check->advice,
		    check_line(check, SECTION_DOMAIN, i, "mta-sts"),
		    "domain %.80s: no listen section has service = mta-sts, so "
		    "another web server must serve what `postern sts show` "
		    "prints", domain->name);
	if (domain->sts == STS_PUBLISH_ENFORCE &&
	    domain->sts_max_age < WEEK)
		problems_add(check->advice,
		    check_line(check, SECTION_DOMAIN, i, "mta-sts-max-age"),
		    "domain %.80s: a policy that is forgotten within a week "
		    "protects little; two weeks or more are usual",
		    domain->name);
}

/* The process that writes mail sees nothing but the mail directory. */
static void check_maildir(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];
	const char *above = check->conf->mail_directory;
	size_t length = strlen(above);

	while (length > 0 && above[length - 1] == '/')
		length--;
	if (!check_given(check, SECTION_DOMAIN, i, "maildir"))
		return;
	if (strncmp(domain->maildir, above, length) == 0 &&
	    domain->maildir[length] == '/' &&
	    domain->maildir[length + 1] != '\0' &&
	    strstr(domain->maildir, "/../") == NULL)
		return;
	problems_add(check->problems,
	    check_line(check, SECTION_DOMAIN, i, "maildir"),
	    "domain %.80s: maildir = %.150s is not below mail-directory, "
	    "%.150s; accepted: a path below it, or another mail-directory",
	    domain->name, domain->maildir, above);
}

/* Their titles may differ by case only, which the parser lets pass. */
static void check_domain_once(const struct check *check, struct hash *seen,
    size_t i)
{
	const char *name = check->conf->domains[i].name;
	const struct conf_domain *first = hash_put_text(seen, name,
	    &check->conf->domains[i]);

	if (first != NULL)
		problems_add(check->problems,
		    check_line(check, SECTION_DOMAIN, i, ""),
		    "domain %.80s is there twice, first in line %d; put all "
		    "its options into one", name, check_line(check,
		    SECTION_DOMAIN, (size_t)(first - check->conf->domains),
		    ""));
}

void check_domains(const struct check *check)
{
	const struct conf *conf = check->conf;
	struct hash *seen = hash_new();

	for (size_t i = 0; i < conf->domain_count; i++) {
		const char *name = conf->domains[i].name;
		int line = check_line(check, SECTION_DOMAIN, i, "");

		if (!check_is_host_name(name))
			problems_add(check->problems, line,
			    "domain '%.80s' is not a domain name; accepted: "
			    "letters, digits and hyphens between dots, such "
			    "as example.org; other scripts, too", name);
		check_domain_once(check, seen, i);
		check_domain_users(check, i);
		check_maildir(check, i);
		if (conf->domains[i].relay)
			check_domain_relay(check, i);
		check_catch_all(check, i);
		check_domain_sts(check, i);
	}
	hash_free(seen);
	if (conf->domain_count == 0)
		problems_add(check->advice, 0, "there is no domain section, so "
		    "mail is accepted from the networks in relay-from only");
}
