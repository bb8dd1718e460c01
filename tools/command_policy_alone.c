/* SPDX-License-Identifier: ISC */
/*
 * One question a process: its state is the struct below. Only the files that
 * are needed are read, so that a user who may not read keys can ask.
 */
#include "tools/command_policy_alone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/tls.h"
#include "base/wire.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "delivery/client.h"
#include "delivery/probe.h"
#include "delivery/profile.h"
#include "policy/explain.h"
#include "policy/own_addresses.h"
#include "policy/plan_request.h"
#include "policy/resolver.h"
#include "policy/sts.h"
#include "tools/control_client.h"

enum { FILE_BYTES_MAX = 4 << 20, BUNDLE_BYTES_MAX = 8 << 20 };

/* How long connections may take to say goodbye. */
enum { LEAVE_MILLISECONDS = 1000, LEAVE_STEP_MILLISECONDS = 20 };

static struct {
	const struct policy_alone	*question;
	char				*text;	/* of the configuration; owned */
	struct conf			*conf;	/* owned */
	char				*trust_pem;	/* owned; may be null */
	struct resolver			*resolver;	/* owned */
	struct sts			*sts;		/* owned */
	struct own_addresses		 own;
	struct profile			*profile;	/* a reference */
	struct buf			 wire;		/* the plan */
	bool				 can_try;
	bool				 mail;	/* a probe would send mail */
} alone;

/* --- files --- */

/* Owned by the caller; null when it cannot be read, which is said unless it is
 * not there. */
static char *read_file(const char *path)
{
	FILE *in = path == NULL || path[0] == '\0' ? NULL : fopen(path, "re");
	char *text;
	size_t length;

	if (in == NULL) {
		if (path != NULL && path[0] != '\0')
			fprintf(stderr, "postern: %s: %s\n", path,
			    strerror(errno));
		return NULL;
	}
	text = mem_alloc(FILE_BYTES_MAX + 1);
	length = fread(text, 1, FILE_BYTES_MAX, in);
	fclose(in);
	if (length == 0 || memchr(text, '\0', length) != NULL) {
		fprintf(stderr, "postern: %s is no text\n", path);
		mem_free(text);
		return NULL;
	}
	return text;
}

static int read_configuration(void)
{
	const char *path = alone.question->configuration;
	char *errors = NULL;

	alone.text = bundle_read_text(path, &errors);
	if (alone.text != NULL)
		alone.conf = conf_read(path, alone.text, &errors);
	if (alone.conf == NULL)
		control_client_complain(errors == NULL ? "" : errors);
	mem_free(errors);
	return alone.conf == NULL ? -1 : 0;
}

/* contents is the bundle's from then on; null: not to be had. */
static void add_file(struct bundle *bundle, const char *path, char *contents)
{
	if (contents == NULL)
		return;
	bundle->files[bundle->file_count++] = (struct bundle_file){
	    .path = mem_dup_string(path), .contents = contents,
	    .length = strlen(contents), .role = ROLE_DELIVERY };
}

/* The credentials and certificates of routes. */
static void add_route_files(struct bundle *bundle)
{
	size_t i;

	for (i = 0; i < alone.conf->route_count; i++) {
		const struct conf_route *route = &alone.conf->routes[i];
		const struct conf_certificate *section =
		    conf_certificate_find(alone.conf, route->certificate);

		add_file(bundle, route->credentials_file,
		    read_file(route->credentials_file));
		if (section == NULL)
			continue;
		add_file(bundle, section->chain, read_file(section->chain));
		add_file(bundle, section->key, read_file(section->key));
	}
}

static void release_bundle(struct bundle *bundle)
{
	size_t i;

	for (i = 0; i < bundle->file_count; i++) {
		mem_free(bundle->files[i].path);
		mem_free_secret(bundle->files[i].contents);
	}
	mem_free(bundle->files);
}

/* What the delivery role would have been given. */
static int make_profile(void)
{
	struct bundle bundle = {
		.name = (char *)alone.question->configuration,
		.text = alone.text,
		.files = mem_alloc_array(1 + 3 * alone.conf->route_count,
		    sizeof(struct bundle_file)),
	};
	char error[512] = "it is too large";
	struct buf bytes;

	add_file(&bundle, alone.conf->trust_file,
	    mem_dup_string(alone.trust_pem));
	add_route_files(&bundle);
	buf_init(&bytes, BUNDLE_BYTES_MAX);
	if (bundle_encode(&bundle, ROLE_DELIVERY, &bytes) == 0)
		alone.profile = profile_new(buf_data(&bytes),
		    buf_length(&bytes), error, sizeof(error));
	buf_wipe(&bytes);
	release_bundle(&bundle);
	if (alone.profile == NULL)
		control_client_complain(error);
	return alone.profile == NULL ? -1 : 0;
}

static int make_resolver(void)
{
	char *anchor = read_file(alone.conf->trust_anchor_file);
	char error[256] = "";

	if (anchor == NULL && alone.conf->trust_anchor_file[0] != '\0')
		fprintf(stderr, "postern: no trust anchor: DNS answers are "
		    "not validated\n");
	alone.resolver = resolver_new(alone.conf, anchor, error,
	    sizeof(error));
	mem_free(anchor);
	if (alone.resolver == NULL)
		control_client_complain(error);
	return alone.resolver == NULL ? -1 : 0;
}

static int set_up(void)
{
	if (read_configuration() == -1)
		return CONTROL_CONFIG;
	alone.trust_pem = read_file(alone.conf->trust_file);
	if (make_resolver() == -1)
		return CONTROL_CONFIG;
	if (alone.question->probed != NULL && make_profile() == -1)
		return CONTROL_CONFIG;
	alone.sts = sts_new(alone.conf, alone.resolver, "", alone.trust_pem);
	own_addresses_read(&alone.own);
	return -1;
}

static void tear_down(void)
{
	sts_free(alone.sts);
	resolver_free(alone.resolver);
	profile_release(alone.profile);
	conf_free(alone.conf);
	mem_free(alone.trust_pem);
	mem_free(alone.text);
	buf_release(&alone.wire);
}

/* --- the plan --- */

/* The plan goes with the request; a probe gets it as delivery would. */
static void on_plan(void *arg, const struct plan *plan,
    const struct plan_facts *facts)
{
	json_t *object = explain_plan(facts, plan);
	struct wire_writer writer;

	(void)arg;
	alone.question->explained(alone.question->arg, object);
	json_decref(object);
	alone.can_try = plan_can_try(plan);
	wire_write_begin(&writer, &alone.wire);
	plan_put(&writer, plan);
	if (wire_write_end(&writer) == -1)
		bug("a plan is larger than its bound");
	loop_stop();
}

static int make_plan(void)
{
	struct conf_next_hop next;
	struct plan_context context = {
		.resolver = alone.resolver,
		.sts = alone.sts,
		.conf = alone.conf,
		.own_addresses = alone.own.items,
		.own_address_count = alone.own.count,
	};
	struct plan_question question = {
		.domain = alone.question->domain,
		.next = &next,
		.waited = alone.question->waited,
		.wish = alone.question->wish,
		.message_level = alone.question->message_level,
		.explain = true,
	};
	json_t *object;

	conf_next_hop(alone.conf, alone.question->domain, &next);
	if (explain_has_plan(&next)) {
		plan_request_start(&context, &question, on_plan, NULL);
		loop_run();
		return alone.can_try ? CONTROL_OK : CONTROL_NONE_MATCHED;
	}
	object = explain_without_plan(alone.question->domain, &next);
	alone.question->explained(alone.question->arg, object);
	json_decref(object);
	return CONTROL_OK;
}

/* --- the probe --- */

static void leave(void *arg)
{
	static struct timer timer;
	static int waited;

	if (client_leaving() == 0 || waited >= LEAVE_MILLISECONDS) {
		timer_stop(&timer);
		loop_stop();
		return;
	}
	waited += LEAVE_STEP_MILLISECONDS;
	timer_start(&timer, LEAVE_STEP_MILLISECONDS, leave, arg);
}

static void on_report(void *arg, json_t *object)
{
	if (object == NULL) {
		leave(arg);
		return;
	}
	if (json_is_true(json_object_get(object, "mail")))
		alone.mail = true;
	alone.question->probed(alone.question->arg, object);
	json_decref(object);
}

static int probe(void)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	struct conf_next_hop next;
	struct wire_reader reader;
	struct plan *plan;

	conf_next_hop(alone.profile->conf, alone.question->domain, &next);
	wire_read_begin(&reader, buf_data(&alone.wire),
	    buf_length(&alone.wire));
	plan = plan_get(&reader, arena);
	if (plan == NULL)
		bug("a plan cannot be read back");
	probe_start(alone.profile, &next, plan, on_report, NULL);
	loop_run();
	arena_free(arena);
	return alone.mail ? CONTROL_OK : CONTROL_NONE_MATCHED;
}

int policy_alone_run(const struct policy_alone *question)
{
	int status;

	alone.question = question;
	log_init("postern", LOG_LEVEL_ERROR);
	log_set_style(LOG_PLAIN);
	tls_init();
	loop_init();
	buf_init(&alone.wire, PLAN_WIRE_MAX);
	status = set_up();
	if (status == -1) {
		status = make_plan();
		if (question->probed != NULL && alone.can_try)
			status = probe();
	}
	stream_end_all();
	tear_down();
	loop_release();
	log_flush();
	return status;
}
