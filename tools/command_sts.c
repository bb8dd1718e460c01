/* SPDX-License-Identifier: ISC */
/*
 * postern sts: our own MTA-STS policies. show says what the configuration
 * makes of them, status looks at them from outside, publish approves mode
 * enforce when nothing disagrees and says what to change, in the order of
 * RFC 8461 8.1: the policy first, then the TXT record.
 */
#include "tools/command_sts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/idn.h"
#include "base/mem.h"
#include "conf/sts.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/kept_file.h"
#include "tools/outside.h"
#include "tools/published.h"

enum { ISO_BYTES = 40 };

static int	run_show(int argc, char **argv);
static int	run_status(int argc, char **argv);
static int	run_publish(int argc, char **argv);

static const struct command table[] = {
	{ "show", "DOMAIN [-j] [-c FILE]", "the policy of a domain of ours, "
	    "its id and the TXT record to publish", run_show },
	{ "status", "[DOMAIN] [-j] [-c FILE]", "what the outside sees of it, "
	    "and what does not agree", run_status },
	{ "publish", "DOMAIN [-c FILE]", "approve mode enforce if nothing "
	    "disagrees, and say what to change in the DNS", run_publish },
};
enum verb { SHOW, STATUS, PUBLISH };
enum { VERBS = sizeof(table) / sizeof(table[0]) };

/* A command under way. */
struct work {
	struct command_options	 options;
	char			 wanted[ADDRESS_DOMAIN_MAX + 1];  /* or "" */
	struct outside		 outside;
	struct sts_approvals	 approvals;
};

/* What is in force for a domain. */
struct force {
	enum sts_force	 how;
	char		*text;		/* owned; null: nothing */
	char		 id[CONF_STS_ID_MAX + 1];
};

static const char *force_name(enum sts_force how)
{
	switch (how) {
	case STS_FORCE_ASKED: return "as-configured";
	case STS_FORCE_EARLIER: return "earlier";
	case STS_FORCE_TESTING: return "testing";
	default: return "nothing";
	}
}

static void force_init(struct force *force, const struct work *work,
    const struct conf_domain *domain)
{
	force->text = conf_sts_in_force(domain, &work->approvals,
	    &force->how);
	force->id[0] = '\0';
	if (force->text != NULL)
		conf_sts_id(force->text, force->id);
}

/* --- begin and end --- */

static int read_approvals(struct work *work)
{
	const char *path = work->outside.conf->sts_approvals_file;
	char *text = outside_read_file(path);

	sts_approvals_init(&work->approvals);
	if (text == NULL && errno != ENOENT) {
		fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (text != NULL && sts_approvals_read(&work->approvals, text) > 0)
		fprintf(stderr, "postern: %s has lines that are damaged; "
		    "they approve nothing\n", path);
	mem_free(text);
	return 0;
}

static int read_words(struct work *work, enum verb verb, int *argc,
    char ***argv)
{
	const struct command *command = &table[verb];
	int status = command_read_options("postern sts", command,
	    &work->options, argc, argv);
	const char *why;

	if (status != -1)
		return status;
	if (*argc > 1 || (*argc == 0 && verb != STATUS))
		return command_usage("postern sts", command,
		    "this command takes one domain");
	if (*argc == 0)
		return -1;
	why = domain_to_ascii(work->wanted, sizeof(work->wanted), *argv[0]);
	return why == NULL ? -1 : command_usage("postern sts", command, why);
}

/* -1, or an exit status. */
static int begin(struct work *work, enum verb verb, int argc, char **argv)
{
	int status = read_words(work, verb, &argc, &argv);

	if (status != -1)
		return status;
	status = outside_open(&work->outside, work->options.configuration,
	    verb != SHOW);
	if (status == -1 && read_approvals(work) == -1)
		status = CONTROL_DENIED;
	if (status == -1 && work->wanted[0] != '\0' &&
	    conf_domain_find(work->outside.conf, work->wanted) == NULL) {
		fprintf(stderr, "postern: %s is no domain of ours: %s has no "
		    "section for it\n", work->wanted,
		    work->options.configuration);
		status = CONTROL_DATA;
	}
	if (status != -1)
		outside_close(&work->outside);
	return status;
}

static void end(struct work *work)
{
	sts_approvals_release(&work->approvals);
	outside_close(&work->outside);
}

/* --- show --- */

static void print_text(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at != '\r')
			putchar(*at);
}

static void print_force(const struct conf_domain *domain,
    const struct force *force)
{
	if (force->how == STS_FORCE_TESTING)
		printf("Mode enforce is not approved yet: `postern sts publish "
		    "%s` looks whether it may be.\nUntil then this is in "
		    "force:\n\n", domain->name);
	else if (force->how == STS_FORCE_EARLIER)
		printf("The policy of the configuration is not approved yet: "
		    "`postern sts publish %s`\nlooks whether it may be. Until "
		    "then the one that was approved before is in force:\n\n",
		    domain->name);
}

static void show_json(const struct conf_domain *domain,
    const struct force *force)
{
	char *record = conf_sts_record(force->id);
	json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s}",
	    "domain", domain->name, "mode", conf_sts_mode_name(domain->sts),
	    "max-age", (json_int_t)domain->sts_max_age,
	    "in-force", force_name(force->how), "policy", force->text,
	    "id", force->id, "txt", record);

	text_print_json(object);
	json_decref(object);
	mem_free(record);
}

static int run_show(int argc, char **argv)
{
	struct work work = { 0 };
	const struct conf_domain *domain;
	struct force force;
	int status = begin(&work, SHOW, argc, argv);

	if (status != -1)
		return status;
	domain = conf_domain_find(work.outside.conf, work.wanted);
	force_init(&force, &work, domain);
	if (force.text == NULL) {
		fprintf(stderr, "postern: domain %s has mta-sts = none: there "
		    "is no policy\n", domain->name);
	} else if (work.options.json) {
		show_json(domain, &force);
	} else {
		print_force(domain, &force);
		print_text(force.text);
		printf("\nserved at  https://mta-sts.%s/.well-known/"
		    "mta-sts.txt\nid         %s\nDNS        _mta-sts.%s. IN "
		    "TXT \"v=STSv1; id=%s;\"\n", domain->name, force.id,
		    domain->name, force.id);
	}
	status = force.text == NULL ? CONTROL_NONE_MATCHED : CONTROL_OK;
	mem_free(force.text);
	end(&work);
	return status;
}

/* --- status --- */

/* RFC 8461 8.3: when the last who believed an older policy has forgotten. */
static void add_withdrawal(struct work *work, const struct conf_domain *domain,
    struct findings *findings)
{
	const struct sts_approval *approval = sts_approvals_find(
	    &work->approvals, domain->name);
	char when[ISO_BYTES];

	if (approval == NULL || approval->mode != STS_PUBLISH_WITHDRAW) {
		findings_add(findings, FINDING_PROBLEM, "withdraw",
		    "run `postern sts publish %s`, which notes the day from "
		    "which the policy is withdrawn", domain->name);
		return;
	}
	clock_format_iso((approval->when + approval->longest) * 1000, when,
	    sizeof(when));
	findings_add(findings, FINDING_NOTE, "withdraw", "withdrawn: keep the "
	    "record and the server of the policy until %s, when the last who "
	    "may remember the old policy has forgotten it; then remove the "
	    "TXT record and set mta-sts = none", when);
}

static void look_at(struct work *work, const struct conf_domain *domain,
    const struct force *force, struct findings *findings)
{
	published_check_sts(&work->outside, domain, &work->approvals,
	    findings);
	if (force->how == STS_FORCE_TESTING)
		findings_add(findings, FINDING_NOTE, "approval",
		    "enforce is not approved: mode testing is in force");
	else if (force->how == STS_FORCE_EARLIER)
		findings_add(findings, FINDING_NOTE, "approval",
		    "the policy of the configuration is not approved: the one "
		    "approved before is in force");
	if (domain->sts == STS_PUBLISH_WITHDRAW)
		add_withdrawal(work, domain, findings);
}

static unsigned status_of(struct work *work, const struct conf_domain *domain)
{
	struct findings findings;
	struct force force;
	json_t *object;
	unsigned problems;

	force_init(&force, work, domain);
	findings_init(&findings);
	look_at(work, domain, &force, &findings);
	if (work->options.json) {
		object = json_pack("{s:s, s:s, s:s, s:s, s:i, s:O}", "domain",
		    domain->name, "mode", conf_sts_mode_name(domain->sts),
		    "in-force", force_name(force.how), "id", force.id,
		    "problems", (int)findings.problems, "findings",
		    findings.list);
		text_print_json(object);
		json_decref(object);
	} else {
		printf("%s: mta-sts = %s, in force: id %s\n", domain->name,
		    domain->sts == STS_PUBLISH_WITHDRAW ? "withdraw" :
		    conf_sts_mode_name(domain->sts), force.id);
		findings_print(&findings);
	}
	problems = findings.problems;
	findings_release(&findings);
	mem_free(force.text);
	return problems;
}

static int run_status(int argc, char **argv)
{
	struct work work = { 0 };
	unsigned problems = 0, looked = 0;
	const struct conf *conf;
	int status = begin(&work, STATUS, argc, argv);

	if (status != -1)
		return status;
	conf = work.outside.conf;
	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *domain = &conf->domains[i];

		if (domain->sts == STS_PUBLISH_NONE || (work.wanted[0] !=
		    '\0' && strcmp(work.wanted, domain->name) != 0))
			continue;
		problems += status_of(&work, domain);
		looked++;
	}
	if (looked == 0)
		fprintf(stderr, "postern: no domain has a policy: mta-sts is "
		    "none\n");
	end(&work);
	return problems > 0 || looked == 0 ? CONTROL_NONE_MATCHED :
	    CONTROL_OK;
}

/* --- publish --- */

/* Two who publish at once both keep what the other has approved. */
static int approve(struct work *work, const struct conf_domain *domain)
{
	const char *path = work->outside.conf->sts_approvals_file;
	struct kept_file file;
	int result;
	char *text;

	if (kept_file_begin(&file, work->outside.conf, path) == -1)
		return -1;
	sts_approvals_release(&work->approvals);
	sts_approvals_read(&work->approvals, file.text);
	sts_approvals_set(&work->approvals, domain, clock_wall() / 1000);
	text = sts_approvals_print(&work->approvals);
	result = kept_file_write(&file, text, strlen(text));
	/* There is no secret in it, and all may ask for the status. */
	if (result == 0 && chmod(path, 0644) == -1)
		fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
	mem_free(text);
	kept_file_end(&file);
	return result;
}

/* The server is asked to serve it. */
static int tell_server(const struct work *work)
{
	if (!published_is_served(work->outside.conf, SERVICE_MTA_STS)) {
		printf("\nNo listener of ours serves policies: give the server "
		    "of mta-sts.%s\nwhat `postern sts show %s` prints now.\n",
		    work->wanted, work->wanted);
		return CONTROL_OK;
	}
	if (control_client_try(work->outside.conf) != 0) {
		printf("\nNo server runs here: it will serve this policy when "
		    "it is started.\n");
		return CONTROL_OK;
	}
	return control_client_tell(work->outside.conf, CONTROL_RELOAD, NULL,
	    NULL);
}

/* RFC 8461 8.1: behind the policy. */
static void print_change(const struct conf_domain *domain,
    const struct force *force)
{
	char *record = conf_sts_record(force->id);

	printf("\nWhen the server serves that policy, publish this record, in "
	    "place of the one\nthat is there:\n\n  _mta-sts.%s. IN TXT "
	    "\"%s\"\n\nThen `postern sts status %s` tells whether all "
	    "agrees.\n", domain->name, record, domain->name);
	mem_free(record);
}

static bool has_problem(const struct findings *findings, const char *about)
{
	const json_t *one;
	size_t i;

	json_array_foreach(findings->list, i, one)
		if (strcmp(text_of(one, "kind"), "problem") == 0 &&
		    strcmp(text_of(one, "about"), about) == 0)
			return true;
	return false;
}

/* Approves what the section asks for now, and says what is left to do. */
static int put_in_force(struct work *work, const struct conf_domain *domain)
{
	struct force force;
	int status;

	if (approve(work, domain) == -1)
		return CONTROL_OUTPUT;
	printf("\n%s is approved for %s.\n", domain->sts ==
	    STS_PUBLISH_WITHDRAW ? "The withdrawal of the policy" :
	    "Mode enforce", domain->name);
	fflush(stdout);
	status = tell_server(work);
	force_init(&force, work, domain);
	print_change(domain, &force);
	mem_free(force.text);
	return status;
}

/* Nothing is to be approved: is anything to be changed? */
static int advise(const struct conf_domain *domain, const struct force *force,
    const struct findings *findings)
{
	if (findings->problems == 0) {
		printf("\nNothing is to be changed.\n");
		return CONTROL_OK;
	}
	if (has_problem(findings, "txt") && !has_problem(findings, "policy"))
		print_change(domain, force);
	return CONTROL_NONE_MATCHED;
}

static int publish(struct work *work, const struct conf_domain *domain)
{
	const struct sts_approval *approval = sts_approvals_find(
	    &work->approvals, domain->name);
	struct findings findings;
	struct force force;
	int status;

	force_init(&force, work, domain);
	findings_init(&findings);
	published_check_sts(&work->outside, domain, &work->approvals,
	    &findings);
	findings_print(&findings);
	if (domain->sts == STS_PUBLISH_WITHDRAW && (approval == NULL ||
	    approval->mode != STS_PUBLISH_WITHDRAW)) {
		status = put_in_force(work, domain);
	} else if (force.how == STS_FORCE_ASKED) {
		status = advise(domain, &force, &findings);
	} else if (findings.problems == 0) {
		status = put_in_force(work, domain);
	} else {
		printf("\nMode enforce is refused for %s: %u problem(s) above. "
		    "In force stays\n%s.\n", domain->name, findings.problems,
		    force.how == STS_FORCE_TESTING ? "mode testing" :
		    "the policy that was approved before");
		status = CONTROL_NONE_MATCHED;
	}
	findings_release(&findings);
	mem_free(force.text);
	return status;
}

static int run_publish(int argc, char **argv)
{
	struct work work = { 0 };
	const struct conf_domain *domain;
	int status = begin(&work, PUBLISH, argc, argv);

	if (status != -1)
		return status;
	domain = conf_domain_find(work.outside.conf, work.wanted);
	if (domain->sts == STS_PUBLISH_NONE) {
		fprintf(stderr, "postern: domain %s has mta-sts = none: there "
		    "is nothing to publish; to take back a policy that was "
		    "published, write mta-sts = withdraw\n", domain->name);
		status = CONTROL_NONE_MATCHED;
	} else {
		status = publish(&work, domain);
	}
	end(&work);
	return status;
}

int command_sts(int argc, char **argv)
{
	return command_dispatch("postern sts", table, VERBS, argc, argv);
}
