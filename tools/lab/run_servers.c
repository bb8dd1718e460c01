/* SPDX-License-Identifier: ISC */
/*
 * Each server binds in its own process and says so on a pipe: nothing, when it
 * listens, or a sentence. Zones are signed here, because their keys are made
 * on the way and must stay. Certificates are made once for each set of faults,
 * before the sender starts, so that it can be told all the authorities.
 */
#include "tools/lab/run_servers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/actors.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/names.h"
#include "tools/lab/run_child.h"

enum { NAMES, RESOLVER, ACTORS, SERVERS, CA_MAX = 1 << 20,
    SERVERS_ARENA_MAX = 64 << 20 };

static const char *const titles[SERVERS] = { "name server", "resolver",
    "actors" };

/* A world and its certificates, made for a set of faults. */
struct stage {
	const struct lab_texts		*faults;	/* outlives us */
	struct lab_world		*world;
	struct lab_identities		*identities;
};

struct lab_servers {
	const struct lab_scenario	*scenario;	/* outlives us */
	struct arena			*arena;
	struct lab_keys			*keys;
	struct stage			*stages;	/* owned; the healed
							 * one is the first */
	size_t				 stage_count;
	struct buf			 ca;
	const struct lab_identity	*mta;
	struct lab_child		 children[SERVERS];
	bool				 twin;
	struct lab_server_output	 output;
};

/* What a process that is about to serve has at hand. */
struct serving {
	const struct lab_servers	*servers;
	const struct stage		*stage;
	struct lab_names		*names;		/* owned */
};

static struct stage *find_stage(const struct lab_servers *servers,
    const struct lab_texts *faults)
{
	for (size_t i = 0; i < servers->stage_count; i++)
		if (lab_texts_equal(servers->stages[i].faults, faults))
			return &servers->stages[i];
	return NULL;
}

void lab_servers_add(struct lab_servers *servers,
    const struct lab_texts *faults)
{
	const struct lab_world *healed = NULL;
	struct stage *stage;

	if (find_stage(servers, faults) != NULL)
		return;
	servers->stages = mem_resize(servers->stages,
	    servers->stage_count + 1, sizeof(*servers->stages));
	if (servers->stage_count > 0)
		healed = servers->stages[0].world;
	stage = &servers->stages[servers->stage_count++];
	stage->faults = faults;
	stage->world = lab_world_with(servers->scenario, faults,
	    servers->arena);
	/* The same keys as long as no fault is about certificates. */
	if (healed != NULL &&
	    stage->world->certificates == healed->certificates) {
		stage->identities = servers->stages[0].identities;
		return;
	}
	stage->identities = lab_identities_new(stage->world, servers->arena);
	if (buf_add_string(&servers->ca, stage->identities->ca_pem) == -1)
		bug("lab-ca");
}

static const struct lab_identity *find_mta(struct lab_servers *servers)
{
	static char name[] = LAB_MTA_NAME, nothing[] = "";
	static char *names[] = { name };
	static struct lab_certificate own = { .name = name,
	    .names = { names, 1 }, .common_name = nothing,
	    .organization = nothing, .issuer_authority = true };
	static const struct lab_world world = { .certificates = &own,
	    .certificate_count = 1 };
	const char *named = servers->scenario->receiver.certificate;
	const struct lab_identities *identities;

	if (named[0] != '\0')
		return lab_identity_find(servers->stages[0].identities,
		    named);
	identities = lab_identities_new(&world, servers->arena);
	if (buf_add_string(&servers->ca, identities->ca_pem) == -1)
		bug("lab-ca");
	return identities->items;
}

struct lab_servers *lab_servers_new(const struct lab_scenario *scenario,
    const struct lab_texts *faults, bool twin,
    const struct lab_server_output *output)
{
	static const struct lab_texts none;
	struct lab_servers *servers = mem_alloc(sizeof(*servers));

	servers->scenario = scenario;
	servers->twin = twin;
	servers->output = *output;
	servers->arena = arena_new(SERVERS_ARENA_MAX);
	servers->keys = lab_keys_new();
	buf_init(&servers->ca, CA_MAX);
	lab_servers_add(servers, &none);
	lab_servers_add(servers, faults);
	for (size_t i = 0; i < scenario->step_count; i++)
		lab_servers_add(servers, &scenario->steps[i].faults);
	servers->mta = find_mta(servers);
	return servers;
}

void lab_servers_free(struct lab_servers *servers)
{
	lab_servers_stop(servers);
	lab_keys_free(servers->keys);
	buf_release(&servers->ca);
	mem_free(servers->stages);
	arena_free(servers->arena);
	mem_free(servers);
}

const char *lab_servers_ca(struct lab_servers *servers)
{
	return buf_string(&servers->ca);
}

const char *lab_servers_anchor(const struct lab_servers *servers)
{
	return lab_keys_anchor(servers->keys);
}

const struct lab_identities *lab_servers_identities(
    const struct lab_servers *servers)
{
	return servers->stages[0].identities;
}

/* --- in the processes of the servers --- */

/* Nothing said and the pipe closed: it listens. */
static void listening(int report, const char *problem)
{
	if (problem != NULL) {
		dprintf(report, "%s", problem);
		_exit(1);
	}
	close(report);
}

static void serve_names(const struct serving *serving, int report)
{
	char problem[400];
	int result = lab_names_listen(serving->names, problem,
	    sizeof(problem));

	listening(report, result == -1 ? problem : NULL);
	lab_names_serve(serving->names);
}

static void serve_resolver(const struct serving *serving, int report)
{
	char problem[400];
	int result = lab_resolver_listen(problem, sizeof(problem));

	listening(report, result == -1 ? problem : NULL);
	lab_resolver_serve(lab_servers_anchor(serving->servers));
}

static void serve_actors(const struct serving *serving, int report)
{
	char problem[400];
	struct lab_actors *actors = lab_actors_new(serving->stage->world,
	    serving->stage->identities, serving->servers->twin, problem,
	    sizeof(problem));

	listening(report, actors == NULL ? problem : NULL);
	lab_actors_serve(actors);
}

static void (*const serve[SERVERS])(const struct serving *serving,
    int report) = { serve_names, serve_resolver, serve_actors };

/* --- in ours --- */

static void read_sentence(int fd, char *sentence, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while (used < size - 1 && ((got = read(fd, sentence + used,
	    size - 1 - used)) > 0 || (got == -1 && errno == EINTR)))
		used += got > 0 ? (size_t)got : 0;
	sentence[used] = '\0';
}

static int start_server(struct lab_servers *servers, int which,
    const struct serving *serving, char *error, size_t size)
{
	struct lab_child *child = &servers->children[which];
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1 ||
	    (pid = lab_child_fork(child, servers->output.log)) == -1) {
		snprintf(error, size, "no process for the lab's %s: %s",
		    titles[which], strerror(errno));
		return -1;
	}
	if (pid == 0) {
		close(ends[0]);
		lab_event_open(servers->output.events);
		serve[which](serving, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	read_sentence(ends[0], error, size);
	close(ends[0]);
	if (error[0] == '\0')	/* it may also have died without a word */
		return lab_servers_watch(servers, error, size);
	return -1;
}

int lab_servers_start(struct lab_servers *servers,
    const struct lab_texts *faults, char *error, size_t size)
{
	struct serving serving = { .servers = servers,
	    .stage = find_stage(servers, faults) };
	int result = 0;

	lab_servers_stop(servers);
	serving.names = lab_names_new(serving.stage->world,
	    serving.stage->identities, servers->keys, error, size);
	if (serving.names == NULL)
		return -1;
	for (int i = 0; i < SERVERS && result == 0; i++)
		result = start_server(servers, i, &serving, error, size);
	lab_names_free(serving.names);
	return result;
}

const struct lab_identity *lab_servers_mta(const struct lab_servers *servers)
{
	return servers->mta;
}

void lab_servers_stop(struct lab_servers *servers)
{
	for (int i = 0; i < SERVERS; i++)
		lab_child_kill(&servers->children[i]);
}

int lab_servers_watch(struct lab_servers *servers, char *error, size_t size)
{
	lab_children_reap();
	for (int i = 0; i < SERVERS; i++) {
		const struct lab_child *child = &servers->children[i];
		int status = child->status;

		if (child->pid <= 0 || !child->ended)
			continue;
		snprintf(error, size, "the lab's own %s ended (%s %d)",
		    titles[i], WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
		return -1;
	}
	return 0;
}
