/* SPDX-License-Identifier: ISC */
/*
 * The player of dialogues; dialog.h has the language.
 */
#include "tests/dialog-client/dialog.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/attempt.h"
#include "delivery/client.h"
#include "delivery/credentials.h"
#include "delivery/pool.h"
#include "delivery/profile.h"
#include "policy/plan.h"
#include "queue/envelope.h"

enum { JOBS_MAX = 12, LINES_MAX = 2000, SERVERS_MAX = 64, HOSTS_MAX = 8,
    EXPECT_MAX = 64, SIGHTINGS_MAX = 32, PATIENCE_MS = 60000, DATA_MAX = 64 << 20 };

struct expectation {
	char	 address[128];	/* "*": everyone */
	char	 outcome[16];
	char	 code[16];
	char	 reason[32];
	char	 tls[32];
	char	 text[200];
};

struct sighting {		/* of an observation */
	char	 host[64];
	char	 words[4][40];	/* stage, result, symptom, web */
};

struct scripted_job {
	struct fake_job		 job;
	enum requirement	 requirement;
	enum requirement	 requirement_at[HOSTS_MAX];
	bool			 differs_at[HOSTS_MAX];
	bool			 skip_at[HOSTS_MAX];
	bool			 forbidden_at[HOSTS_MAX];
	enum requirement	 ideal;
	enum plan_source	 ideal_source;
	enum plan_wish		 wish;
	bool			 expects_tls, sts_mismatch;
	bool			 is_replan;	/* of the job before */
	uint64_t		 sts_digest;
	enum plan_source	 source;
	struct dane_record	 tlsa[8];
	uint8_t			 tlsa_data[8][DIGEST_BYTES];
	size_t			 tlsa_count;
	bool			 also_name, implicit_tls;
	char			 sni[64];
	char			 names[4][64];
	size_t			 name_count;
	char			 pin[8];
	enum conf_fallback	 no_starttls, broken_tls;
	int64_t			 no_starttls_after, broken_tls_after;
	char			 plan[64], key[64];
	int64_t			 trouble;
	char			 from[128], envid[64];
	struct { char address[128]; char original[128]; unsigned notify; }
				 to[250];
	size_t			 to_count;
	char			*body, *prefix;		/* owned */
	struct expectation	 expect[EXPECT_MAX];
	size_t			 expect_count;
	int			 expect_trouble;	/* -1: no matter */
	unsigned		 expect_questions;	/* 0: no matter */
};

struct server {			/* one connection of the script */
	int		 host;
	size_t		 first, end;	/* lines */
	bool		 used;
};

struct peer {			/* one connection that came */
	struct peer	*next;
	struct stream	*stream;	/* null after its end */
	struct server	*server;
	size_t		 line;
	bool		 waiting_tls;
	bool		 stalled;
	struct timer	 timer;
	bool		 quiet;		/* nothing may come now */
	bool		 paused;
	int64_t		 until;		/* of HEAR */
};

static struct pki_certificate authority, stranger, good, other, self;
enum { SERVERS_TLS = 4 };
static struct tls_server *servers_tls[SERVERS_TLS];

static struct play {
	struct dialog_result	*result;
	char			*text;			/* owned */
	char			*lines[LINES_MAX];
	size_t			 line_count;
	struct scripted_job	*jobs;			/* owned */
	size_t			 job_count, job_at;
	size_t			 plan_at;	/* of jobs: job_at, or one of
						 * its replans */
	unsigned		 questions;	/* for this job */
	struct sighting		 sightings[SIGHTINGS_MAX];
	size_t			 sighting_count;
	char			 sighted[SIGHTINGS_MAX][120];
	size_t			 sighted_count;
	struct server		 servers[SERVERS_MAX];
	size_t			 server_count;
	int			 hosts;
	bool			 closed[HOSTS_MAX];
	int			 listeners[HOSTS_MAX];
	struct watch		 watches[HOSTS_MAX];
	uint16_t		 ports[HOSTS_MAX];
	struct peer		*peers;
	struct attempt_scene	 scene;
	struct profile		*profile;
	struct arena		*arena;
	struct plan		 plan;
	struct timer		 patience;
	bool			 finished;
	struct attempt		*attempt;	/* in flight */
	struct job		*job;
} play;

static void wrong(const char *format, ...)
{
	size_t used = strlen(play.result->error);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(play.result->error + used,
	    sizeof(play.result->error) - used, format, arguments);
	va_end(arguments);
	strncat(play.result->error, "\n",
	    sizeof(play.result->error) - strlen(play.result->error) - 1);
	loop_stop();
}

static void note(const char *who, const char *text)
{
	char line[400];
	size_t room = sizeof(play.result->transcript) -
	    strlen(play.result->transcript) - 1;

	snprintf(line, sizeof(line), "%s %.380s\n", who, text);
	strncat(play.result->transcript, line, room);
}

/* --- text --- */

static int hex_digit(char c)
{
	return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* Undoes \r \n \t \\ \xHH; owned by the caller. */
static char *unescape(const char *text, size_t *length)
{
	char *out = mem_alloc(strlen(text) + 1);
	size_t used = 0;

	for (; *text != '\0'; text++) {
		if (*text != '\\') {
			out[used++] = *text;
			continue;
		}
		switch (*++text) {
		case 'r': out[used++] = '\r'; break;
		case 'n': out[used++] = '\n'; break;
		case 't': out[used++] = '\t'; break;
		case 'x':
			out[used++] = (char)(hex_digit(text[1]) * 16 +
			    hex_digit(text[2]));
			text += 2;
			break;
		default: out[used++] = *text;
		}
	}
	*length = used;
	return out;
}

/* Splits off the first word. */
static char *word(char **rest)
{
	char *start = *rest, *end;

	while (*start == ' ')
		start++;
	end = start + strcspn(start, " ");
	*rest = *end == '\0' ? end : end + 1;
	*end = '\0';
	return start;
}

static void set_text(char *out, size_t size, const char *value)
{
	snprintf(out, size, "%s", value);
}

/* --- reading the script --- */

static void set_timeout(struct conf *conf, const char *name, int64_t seconds)
{
	if (strcmp(name, "connect") == 0)
		conf->connect_timeout = seconds;
	else if (strcmp(name, "greeting") == 0)
		conf->greeting_timeout = seconds;
	else if (strcmp(name, "reply") == 0)
		conf->reply_timeout = seconds;
	else if (strcmp(name, "final") == 0)
		conf->data_reply_timeout = seconds;
	else if (strcmp(name, "handshake") == 0)
		conf->handshake_timeout = seconds;
	else if (strcmp(name, "idle") == 0)
		conf->reuse_idle = seconds;
	else
		wrong("unknown timeout %s", name);
}

/* The one that mail goes by, made at the first call. */
static struct conf_route *make_route(void)
{
	struct conf *conf = play.profile->conf;
	struct conf_route *route = conf->routes;

	if (route != NULL)
		return route;
	route = conf->routes = mem_alloc(sizeof(*route));
	conf->route_count = 1;
	conf->route_destinations = mem_alloc(
	    sizeof(*conf->route_destinations));
	route->pattern = mem_dup_string("example.net");
	route->host = mem_dup_string("mx1.test");
	route->socket = mem_dup_string("");
	route->credentials_file = mem_dup_string("");
	route->certificate = mem_dup_string("test");
	route->level = LEVEL_COUNT;
	route->port = 25;
	play.profile->routes = mem_alloc(sizeof(*play.profile->routes));
	return route;
}

static void set_credentials(char *rest)
{
	const char *user = word(&rest);
	char error[200], *text = mem_print("%s\n%s\n", user, rest);

	make_route();
	play.profile->routes->credentials = credentials_read("test", text,
	    error, sizeof(error));
	if (play.profile->routes->credentials == NULL)
		wrong("script: %s", error);
	mem_free(text);
}

static void set_client_certificate(void)
{
	char error[200];

	make_route();
	play.profile->routes->certificate = tls_identity_new("test",
	    good.chain, good.key, error, sizeof(error));
	if (play.profile->routes->certificate == NULL)
		wrong("script: %s", error);
}

static bool route_line(const char *verb, char *rest)
{
	if (strcmp(verb, "route") == 0)
		make_route();
	else if (strcmp(verb, "credentials") == 0)
		set_credentials(rest);
	else if (strcmp(verb, "client-certificate") == 0)
		set_client_certificate();
	else if (strcmp(verb, "lmtp") == 0)
		make_route()->transport = TRANSPORT_LMTP;
	else if (strcmp(verb, "mx") == 0)
		make_route()->mx = true;
	else
		return false;
	return true;
}

static bool world_line(const char *verb, char *rest)
{
	struct conf *conf = play.profile->conf;
	char *name;

	if (strcmp(verb, "timeout") == 0) {
		name = word(&rest);
		set_timeout(conf, name, strtol(rest, NULL, 10));
	} else if (strcmp(verb, "reuse") == 0) {
		conf->reuse_limit = strtol(rest, NULL, 10);
	} else if (strcmp(verb, "hosts") == 0) {
		play.hosts = (int)strtol(rest, NULL, 10);
	} else if (strcmp(verb, "requiretls-bounce") == 0) {
		conf->requiretls_bounce = REQUIRETLS_BOUNCE_DROP;
	} else if (strcmp(verb, "requiretls-dane-ee") == 0) {
		conf->requiretls_dane_ee = REQUIRETLS_DANE_NAME_TOO;
	} else if (strcmp(verb, "closed") == 0) {
		play.closed[strtol(rest, NULL, 10) - 1] = true;
	} else {
		return route_line(verb, rest);
	}
	return true;
}

static void set_fallback(const char *rest, enum conf_fallback *fallback,
    int64_t *after)
{
	if (strcmp(rest, "clear") == 0) {
		*fallback = FALLBACK_CLEAR;
	} else if (strcmp(rest, "defer") == 0) {
		*fallback = FALLBACK_DEFER;
	} else {
		*fallback = FALLBACK_CLEAR_AFTER;
		*after = strtol(rest, NULL, 10);
	}
}

static enum requirement find_requirement(const char *name)
{
	static const char *const names[REQUIREMENTS] = { "clear",
	    "opportunistic", "encrypted", "name", "fingerprint", "dane" };
	int i;

	for (i = 0; i < REQUIREMENTS; i++)
		if (strcmp(names[i], name) == 0)
			return (enum requirement)i;
	wrong("unknown requirement %s", name);
	return REQUIRE_CLEAR;
}

static enum plan_source find_source(const char *name)
{
	int i;

	for (i = 0; i < SOURCES; i++)
		if (strcmp(plan_source_name((enum plan_source)i), name) == 0)
			return (enum plan_source)i;
	wrong("unknown source %s", name);
	return SOURCE_NONE;
}

static struct pki_certificate *find_certificate(const char *name)
{
	return strcmp(name, "other") == 0 ? &other :
	    strcmp(name, "self") == 0 ? &self :
	    strcmp(name, "authority") == 0 ? &authority : &good;
}

static void add_tlsa(struct scripted_job *job, char *rest)
{
	struct dane_record *record = &job->tlsa[job->tlsa_count];
	uint8_t *data = job->tlsa_data[job->tlsa_count++];
	const struct pki_certificate *certificate;

	record->usage = (uint8_t)strtol(word(&rest), NULL, 10);
	record->selector = (uint8_t)strtol(word(&rest), NULL, 10);
	record->matching = 1;
	record->whole = true;
	certificate = find_certificate(rest);
	memcpy(data, record->selector == 0 ? certificate->digest :
	    certificate->key_digest, DIGEST_BYTES);
	if (strcmp(rest, "bad") == 0)
		data[0] ^= 1;
	record->data = data;
	record->length = DIGEST_BYTES;
}

/* Of one host alone. */
static bool host_line(struct scripted_job *job, const char *verb, char *rest)
{
	long index = strtol(rest, NULL, 10) - 1;

	if (strcmp(verb, "skip") == 0) {
		job->skip_at[index] = true;
	} else if (strcmp(verb, "skip-for-good") == 0) {
		job->skip_at[index] = job->forbidden_at[index] = true;
	} else if (strcmp(verb, "require-at") == 0) {
		word(&rest);
		job->requirement_at[index] = find_requirement(rest);
		job->differs_at[index] = true;
	} else {
		return false;
	}
	return true;
}

static void set_requirement(struct scripted_job *job, const char *name)
{
	static const enum plan_source sources[REQUIREMENTS] = {
		[REQUIRE_ENCRYPTED] = SOURCE_LEVEL,
		[REQUIRE_NAME] = SOURCE_LEVEL,
		[REQUIRE_FINGERPRINT] = SOURCE_LEVEL,
		[REQUIRE_DANE] = SOURCE_DANE,
	};

	job->requirement = find_requirement(name);
	job->source = sources[job->requirement];
}

static void set_wish(struct scripted_job *job, const char *name)
{
	job->job.flags &= ~(uint32_t)(ENVELOPE_REQUIRETLS |
	    ENVELOPE_TLS_OPTIONAL);
	if (strcmp(name, "optional") == 0) {
		job->wish = WISH_OPTIONAL;
		job->job.flags |= ENVELOPE_TLS_OPTIONAL;
		return;
	}
	job->wish = WISH_REQUIRETLS;
	job->job.flags |= ENVELOPE_REQUIRETLS;
	if (strcmp(name, "bounce") != 0)
		return;
	job->wish = WISH_REQUIRETLS_BOUNCE;
	job->job.flags |= ENVELOPE_BOUNCE;
	job->from[0] = '\0';
}

static void set_level(struct scripted_job *job, const char *name)
{
	int level;

	for (level = 0; level < LEVEL_COUNT; level++)
		if (strcmp(conf_level_name((enum conf_level)level),
		    name) == 0)
			job->job.tls_level = level;
	if (job->job.tls_level == 0)
		wrong("script: no such level %s", name);
}

/* What does not bind, and what the sender or the operator wishes. */
static bool wish_line(struct scripted_job *job, const char *verb, char *rest)
{
	if (strcmp(verb, "ideal") == 0) {
		job->ideal = find_requirement(word(&rest));
		job->ideal_source = rest[0] == '\0' ? SOURCE_NONE :
		    find_source(rest);
	} else if (strcmp(verb, "wish") == 0) {
		set_wish(job, rest);
	} else if (strcmp(verb, "level") == 0) {
		set_level(job, rest);
	} else if (strcmp(verb, "expects-tls") == 0) {
		job->expects_tls = true;
	} else if (strcmp(verb, "sts-mismatch") == 0) {
		job->sts_mismatch = true;
	} else if (strcmp(verb, "sts") == 0) {
		job->sts_digest = strtoul(rest, NULL, 10);
	} else {
		return host_line(job, verb, rest);
	}
	return true;
}

static bool plan_line(struct scripted_job *job, const char *verb, char *rest)
{
	if (strcmp(verb, "require") == 0)
		set_requirement(job, rest);
	else if (strcmp(verb, "source") == 0)
		job->source = find_source(rest);
	else if (strcmp(verb, "tlsa") == 0)
		add_tlsa(job, rest);
	else if (strcmp(verb, "also-name") == 0)
		job->also_name = true;
	else if (strcmp(verb, "implicit") == 0)
		job->implicit_tls = true;
	else if (strcmp(verb, "sni") == 0)
		set_text(job->sni, sizeof(job->sni), rest);
	else if (strcmp(verb, "name") == 0)
		set_text(job->names[job->name_count++], 64, rest);
	else if (strcmp(verb, "pin") == 0)
		set_text(job->pin, sizeof(job->pin), rest);
	else if (strcmp(verb, "no-starttls") == 0)
		set_fallback(rest, &job->no_starttls, &job->no_starttls_after);
	else if (strcmp(verb, "broken-tls") == 0)
		set_fallback(rest, &job->broken_tls, &job->broken_tls_after);
	else if (strcmp(verb, "plan") == 0)
		set_text(job->plan, sizeof(job->plan), rest);
	else if (strcmp(verb, "key") == 0)
		set_text(job->key, sizeof(job->key), rest);
	else if (strcmp(verb, "trouble") == 0)
		job->trouble = strtol(rest, NULL, 10);
	else
		return wish_line(job, verb, rest);
	return true;
}

static unsigned read_notify(const char *text)
{
	return (strstr(text, "never") ? NOTIFY_NEVER : 0u) |
	    (strstr(text, "success") ? NOTIFY_SUCCESS : 0u) |
	    (strstr(text, "failure") ? NOTIFY_FAILURE : 0u) |
	    (strstr(text, "delay") ? NOTIFY_DELAY : 0u);
}

static void add_to(struct scripted_job *job, char *rest)
{
	set_text(job->to[job->to_count].address, 128, word(&rest));
	job->to[job->to_count].notify = read_notify(word(&rest));
	set_text(job->to[job->to_count++].original, 128, rest);
}

static void add_many(struct scripted_job *job, int count)
{
	int i;

	for (i = 1; i <= count; i++)
		snprintf(job->to[job->to_count++].address, 128,
		    "u%d@example.net", i);
}

static void set_flags(struct scripted_job *job, const char *rest)
{
	if (strstr(rest, "8bit") != NULL)
		job->job.flags |= ENVELOPE_8BIT | ENVELOPE_HAS_8BIT;
	if (strstr(rest, "declared") != NULL)
		job->job.flags |= ENVELOPE_8BIT;
	if (strstr(rest, "utf8") != NULL)
		job->job.flags |= ENVELOPE_UTF8;
	if (strstr(rest, "utf8-header") != NULL)
		job->job.flags |= ENVELOPE_UTF8_HEADER;
	if (strstr(rest, "full") != NULL)
		job->job.flags |= ENVELOPE_RET_FULL;
	if (strstr(rest, "headers") != NULL)
		job->job.flags |= ENVELOPE_RET_HEADERS;
	if (strstr(rest, "inline") != NULL)
		job->job.inlined = true;
}

/* Lines of 64 bytes, some of them beginning with a dot. */
static void set_large(struct scripted_job *job, size_t length)
{
	size_t i;

	mem_free(job->body);
	job->body = mem_alloc(length + 1);
	for (i = 0; i < length; i++)
		job->body[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' :
		    i % 640 == 0 ? '.' : 'x';
	job->job.body_length = length;
}

static bool mail_line(struct scripted_job *job, const char *verb, char *rest)
{
	size_t length;

	if (strcmp(verb, "from") == 0) {
		set_text(job->from, sizeof(job->from), rest);
	} else if (strcmp(verb, "to") == 0) {
		add_to(job, rest);
	} else if (strcmp(verb, "many") == 0) {
		add_many(job, (int)strtol(rest, NULL, 10));
	} else if (strcmp(verb, "envid") == 0) {
		set_text(job->envid, sizeof(job->envid), rest);
	} else if (strcmp(verb, "flags") == 0) {
		set_flags(job, rest);
	} else if (strcmp(verb, "prefix") == 0) {
		job->prefix = unescape(rest, &length);
	} else if (strcmp(verb, "body") == 0) {
		mem_free(job->body);
		job->body = unescape(rest, &job->job.body_length);
	} else if (strcmp(verb, "large") == 0) {
		set_large(job, (size_t)strtol(rest, NULL, 10));
	} else if (strcmp(verb, "attempt") == 0) {
		job->job.attempt = (unsigned)strtoul(rest, NULL, 10);
	} else if (strcmp(verb, "inline") == 0) {
		job->job.inlined = true;
	} else if (strcmp(verb, "fail") == 0) {
		job->job.fails = true;
		job->job.fail_at = (uint64_t)strtol(rest, NULL, 10);
	} else {
		return false;
	}
	return true;
}

static void add_sighting(char *rest)
{
	struct sighting *sighting = &play.sightings[play.sighting_count++];
	size_t i;

	set_text(sighting->host, sizeof(sighting->host), word(&rest));
	for (i = 0; i < 4; i++)
		set_text(sighting->words[i], sizeof(sighting->words[i]),
		    word(&rest));
}

static bool expect_line(struct scripted_job *job, const char *verb,
    char *rest)
{
	struct expectation *expect = &job->expect[job->expect_count];

	if (strcmp(verb, "expect") == 0 || strcmp(verb, "expect-all") == 0) {
		set_text(expect->address, sizeof(expect->address),
		    verb[6] == '\0' ? word(&rest) : "*");
		set_text(expect->outcome, sizeof(expect->outcome),
		    word(&rest));
		set_text(expect->code, sizeof(expect->code), word(&rest));
		set_text(expect->reason, sizeof(expect->reason), rest);
		job->expect_count++;
	} else if (strcmp(verb, "expect-tls") == 0) {
		set_text(expect->address, sizeof(expect->address),
		    word(&rest));
		set_text(expect->tls, sizeof(expect->tls), rest);
		job->expect_count++;
	} else if (strcmp(verb, "expect-text") == 0) {
		set_text(expect->address, sizeof(expect->address),
		    word(&rest));
		set_text(expect->text, sizeof(expect->text), rest);
		job->expect_count++;
	} else if (strcmp(verb, "expect-questions") == 0) {
		job->expect_questions = (unsigned)strtoul(rest, NULL, 10);
	} else if (strcmp(verb, "observed") == 0) {
		add_sighting(rest);
	} else if (strcmp(verb, "observed-text") == 0) {
		set_text(play.sighted[play.sighted_count++], 120, rest);
	} else if (strcmp(verb, "expect-trouble") == 0) {
		job->expect_trouble = strcmp(rest, "yes") == 0;
	} else {
		return false;
	}
	return true;
}

static struct scripted_job *add_job(void)
{
	struct scripted_job *job = &play.jobs[play.job_count++];
	size_t length;

	job->requirement = REQUIRE_OPPORTUNISTIC;
	job->expect_trouble = -1;
	job->broken_tls = FALLBACK_CLEAR_AFTER;
	job->broken_tls_after = 4 * 3600;
	job->job.transport = TRANSPORT_SMTP;
	set_text(job->from, sizeof(job->from), "sender@example.org");
	job->body = unescape("Subject: test\\r\\n\\r\\nHello\\r\\n", &length);
	job->job.body_length = length;
	return job;
}

/* Like the one before, but the plan will be another. */
static struct scripted_job *add_replan(void)
{
	struct scripted_job *last = &play.jobs[play.job_count - 1];
	struct scripted_job *job = &play.jobs[play.job_count++];

	*job = *last;
	job->is_replan = true;
	job->body = job->prefix = NULL;
	job->expect_count = 0;
	memset(job->skip_at, 0, sizeof(job->skip_at));
	memset(job->forbidden_at, 0, sizeof(job->forbidden_at));
	/* The records are in the job. */
	job->tlsa_count = job->name_count = 0;
	return job;
}

static void read_script(const char *script)
{
	struct scripted_job *job = NULL;
	struct server *server = NULL;
	char *line, *next, *rest, *verb;

	play.text = mem_dup_string(script);
	for (line = play.text; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (*line == '#' || *line == '\0')
			continue;
		if (strncmp(line, "server", 6) == 0) {
			server = &play.servers[play.server_count++];
			server->host = line[6] == '\0' ? 1 :
			    (int)strtol(line + 6, NULL, 10);
			server->first = server->end = play.line_count;
			continue;
		}
		if (server != NULL) {
			play.lines[play.line_count++] = line;
			server->end = play.line_count;
			continue;
		}
		rest = line;
		verb = word(&rest);
		if (strcmp(verb, "job") == 0)
			job = add_job();
		else if (strcmp(verb, "replan") == 0 && job != NULL)
			job = add_replan();
		else if (!world_line(verb, rest) && (job == NULL ||
		    !(plan_line(job, verb, rest) ||
		    mail_line(job, verb, rest) ||
		    expect_line(job, verb, rest))))
			wrong("script: unknown line %s", verb);
	}
}

/* --- the server --- */

static void advance(struct peer *peer);

static bool is_over(const struct peer *peer)
{
	return peer->server == NULL || peer->line == peer->server->end;
}

static void end_peer(struct peer *peer)
{
	timer_stop(&peer->timer);
	if (peer->stream != NULL)
		stream_free(peer->stream);
	peer->stream = NULL;
	if (!is_over(peer) && !peer->stalled && play.result->error[0] == '\0')
		wrong("the client left before: %s", play.lines[peer->line]);
	if (play.finished)
		loop_stop();
}

static void unexpected(struct peer *peer, const char *heard)
{
	wrong("heard \"%.200s\" where the script has: %s", heard,
	    is_over(peer) ? "the end" : play.lines[peer->line]);
}

/* A line of the client without CRLF, or null. */
static char *take_line(struct peer *peer, char *out, size_t size)
{
	struct buf *input = stream_input(peer->stream);
	long end = buf_find(input, '\n', 0);
	size_t length;

	if (end < 0)
		return NULL;
	length = (size_t)end;
	/* Behind STALL it may be the TLS of a handshake nobody answers. */
	if (length > 0 && buf_data(input)[length - 1] == '\r')
		length--;
	else if (!peer->stalled)
		wrong("SMTP-3: a line of the client without CRLF");
	if (length >= size)
		length = size - 1;
	memcpy(out, buf_data(input), length);
	out[length] = '\0';
	buf_consume(input, (size_t)end + 1);
	stream_consumed(peer->stream);
	note(stream_is_secure(peer->stream) ? "C(tls)" : "C",
	    peer->stalled ? "(bytes)" : out);
	if (!stream_is_secure(peer->stream) &&
	    (strncmp(out, "MAIL", 4) == 0 || strncmp(out, "RCPT", 4) == 0 ||
	    strncmp(out, "DATA", 4) == 0))
		play.result->mail_in_clear++;
	if (!stream_is_secure(peer->stream) && strncmp(out, "AUTH", 4) == 0)
		play.result->auth_in_clear++;
	return out;
}

static bool line_matches(const char *heard, const char *wanted)
{
	size_t length = strlen(wanted);

	if (length > 0 && wanted[length - 1] == '*')
		return strncmp(heard, wanted, length - 1) == 0;
	return strcmp(heard, wanted) == 0;
}

/* What the message of the job at hand must look like; owned by the caller.
 * For bodies whose line ends are right; others are written in the script. */
static char *expected_data(bool dots, size_t *length)
{
	const struct scripted_job *job = &play.jobs[play.job_at];
	const char *parts[2] = { job->prefix == NULL ? "" : job->prefix,
	    job->body };
	size_t lengths[2] = { strlen(parts[0]), job->job.body_length };
	char *out = mem_alloc(2 * (lengths[0] + lengths[1]) + 3);
	size_t used = 0, part, i;

	for (part = 0; part < 2; part++)
		for (i = 0; i < lengths[part]; i++) {
			if (dots && parts[part][i] == '.' &&
			    (used == 0 || out[used - 1] == '\n'))
				out[used++] = '.';
			out[used++] = parts[part][i];
		}
	if (used > 0 && out[used - 1] != '\n') {
		out[used++] = '\r';
		out[used++] = '\n';
	}
	*length = used;
	return out;
}

/* True when the data is whole. It must be what the script says, or else the
 * message of the job. */
static bool take_data(struct peer *peer, const char *wanted)
{
	struct buf *input = stream_input(peer->stream);
	const char *data = buf_string(input);
	/* Seen from behind the CRLF of DATA: it may be over at once. */
	const char *end = strncmp(data, ".\r\n", 3) == 0 ? data - 2 :
	    strstr(data, "\r\n.\r\n");
	size_t length, wanted_length;
	char *text;

	if (end == NULL)
		return false;
	length = (size_t)(end + 5 - data);
	play.result->data_length = length;
	text = *wanted == '\0' ? expected_data(true, &wanted_length) :
	    unescape(wanted, &wanted_length);
	if (wanted_length + 3 != length ||
	    memcmp(text, data, wanted_length) != 0)
		wrong("data is \"%.*s\"", (int)length, data);
	mem_free(text);
	buf_consume(input, length);
	stream_consumed(peer->stream);
	return true;
}

/* BDAT with the whole message behind it, at once. */
static bool take_counted(struct peer *peer, const char *wanted)
{
	struct buf *input = stream_input(peer->stream);
	size_t length, wanted_length, head;
	char *text, line[40];

	text = *wanted == '\0' ? expected_data(false, &wanted_length) :
	    unescape(wanted, &wanted_length);
	head = (size_t)snprintf(line, sizeof(line), "BDAT %zu LAST\r\n",
	    wanted_length);
	length = head + wanted_length;
	if (buf_length(input) < length &&
	    (buf_length(input) < head || memcmp(buf_data(input), line,
	    head) == 0)) {
		mem_free(text);
		return false;
	}
	if (memcmp(buf_data(input), line, head) != 0 ||
	    memcmp(buf_data(input) + head, text, wanted_length) != 0)
		wrong("counted is \"%.300s\"", buf_string(input));
	mem_free(text);
	play.result->data_length = length;
	buf_consume(input, length < buf_length(input) ? length :
	    buf_length(input));
	stream_consumed(peer->stream);
	return true;
}

static void say(struct peer *peer, const char *text, size_t length)
{
	if (stream_write(peer->stream, text, length) < 0)
		wrong("the server cannot write");
}

static void on_timer(void *arg)
{
	struct peer *peer = arg;

	peer->quiet = false;
	if (peer->paused)
		stream_resume(peer->stream);
	peer->paused = false;
	peer->line++;
	advance(peer);
}

static void wait_for(struct peer *peer, const char *milliseconds)
{
	timer_start(&peer->timer, strtol(milliseconds, NULL, 10), on_timer,
	    peer);
}

/* Until something has come, which nobody reads; or the time is over. */
static void on_look(void *arg)
{
	struct peer *peer = arg;
	struct pollfd poll_fd = { .fd = stream_fd(peer->stream),
	    .events = POLLIN };

	if (buf_length(stream_input(peer->stream)) > 0 ||
	    poll(&poll_fd, 1, 0) != 0 || clock_monotonic() >= peer->until)
		on_timer(peer);
	else
		timer_start(&peer->timer, 1, on_look, peer);
}

static void listen_for(struct peer *peer, const char *milliseconds)
{
	peer->until = clock_monotonic() + strtol(milliseconds, NULL, 10);
	timer_start(&peer->timer, 0, on_look, peer);
}

static void start_tls(struct peer *peer, const char *which)
{
	int index = strcmp(which, "other") == 0 ? 1 :
	    strcmp(which, "self") == 0 ? 2 :
	    strcmp(which, "chain") == 0 ? 3 : 0;

	peer->waiting_tls = true;
	stream_secure_server(peer->stream, servers_tls[index]);
}

static void reset_peer(struct peer *peer)
{
	struct linger linger = { 1, 0 };

	setsockopt(stream_fd(peer->stream), SOL_SOCKET, SO_LINGER, &linger,
	    sizeof(linger));
	peer->line = peer->server->end;
	end_peer(peer);
}

static void close_peer(struct peer *peer)
{
	stream_finish(peer->stream, 2000);
	peer->stream = NULL;
	peer->line = peer->server->end;
	end_peer(peer);
}

/* What is no dialogue but an action. False: the peer waits or is gone. */
static bool act(struct peer *peer, const char *verb, const char *rest)
{
	if (strcmp(verb, "TLS") == 0) {
		start_tls(peer, rest);
		return false;
	}
	if (strcmp(verb, "HEAR") == 0) {
		peer->paused = true;
		stream_pause(peer->stream);
		listen_for(peer, rest);
		return false;
	}
	if (strcmp(verb, "QUIET") == 0 || strcmp(verb, "PAUSE") == 0) {
		peer->quiet = verb[0] == 'Q';
		peer->paused = verb[0] == 'P';
		if (peer->quiet && buf_length(stream_input(peer->stream)) > 0)
			unexpected(peer, buf_string(stream_input(
			    peer->stream)));
		if (peer->paused)
			stream_pause(peer->stream);
		wait_for(peer, rest);
		return false;
	}
	if (strcmp(verb, "CHANGE") == 0) {
		fake_policy_change(rest);
		return true;
	}
	if (strcmp(verb, "CLOSE") == 0) {
		close_peer(peer);
		return false;
	}
	if (strcmp(verb, "RESET") == 0) {
		reset_peer(peer);
		return false;
	}
	if (strcmp(verb, "STALL") == 0) {
		peer->stalled = true;
		return false;
	}
	if (strcmp(verb, "IN-TLS") != 0)
		wrong("script: unknown action %s", verb);
	else if (!stream_is_secure(peer->stream))
		wrong("not under TLS");
	else if (rest[0] != '\0' && strcmp(stream_sni(peer->stream),
	    rest) != 0)
		wrong("the client asked for the server name \"%s\"",
		    stream_sni(peer->stream));
	return true;
}

/* One line of the script. False: not yet, or no more. */
static bool play_line(struct peer *peer)
{
	char *line = play.lines[peer->line], heard[2048], verb[16];
	const char *rest = strchr(line, ' ');
	char *text;
	size_t length;

	snprintf(verb, sizeof(verb), "%.*s", (int)strcspn(line, " "), line);
	rest = rest == NULL ? "" : rest + 1;
	if (strcmp(verb, "S") == 0) {
		note("S", rest);
		say(peer, rest, strlen(rest));
		say(peer, "\r\n", 2);
		return true;
	}
	if (strcmp(verb, "R") == 0) {
		note("R", rest);
		text = unescape(rest, &length);
		say(peer, text, length);
		mem_free(text);
		return true;
	}
	if (strcmp(verb, "D") == 0)
		return take_data(peer, rest);
	if (strcmp(verb, "B") == 0)
		return take_counted(peer, rest);
	if (strcmp(verb, "C") != 0)
		return act(peer, verb, rest);
	if (take_line(peer, heard, sizeof(heard)) == NULL)
		return false;
	if (!line_matches(heard, rest))
		unexpected(peer, heard);
	return true;
}

static void advance(struct peer *peer)
{
	char heard[2048];

	while (peer->stream != NULL && play.result->error[0] == '\0' &&
	    !peer->stalled && !peer->waiting_tls && !peer->quiet &&
	    !peer->paused) {
		if (is_over(peer)) {
			if (take_line(peer, heard, sizeof(heard)) != NULL)
				unexpected(peer, heard);
			return;
		}
		if (!play_line(peer))
			return;
		peer->line++;
	}
	/* STALL: whatever comes is noted, nothing is said. */
	while (peer->stalled && peer->stream != NULL &&
	    take_line(peer, heard, sizeof(heard)) != NULL)
		continue;
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct peer *peer = arg;

	switch (event) {
	case STREAM_SECURED:
		peer->waiting_tls = false;
		peer->line++;
		advance(peer);
		break;
	case STREAM_INPUT:
		if (peer->quiet)
			unexpected(peer, buf_string(stream_input(stream)));
		advance(peer);
		break;
	case STREAM_END:
	case STREAM_TRUNCATED:
	case STREAM_FAILED:
		advance(peer);
		if (peer->waiting_tls)
			peer->line = peer->server->end;
		if (peer->stalled)
			peer->line = peer->server->end;
		if (peer->stream != NULL)
			end_peer(peer);
		break;
	default:
		break;
	}
}

static struct server *next_server(int host)
{
	size_t i;

	for (i = 0; i < play.server_count; i++)
		if (!play.servers[i].used && play.servers[i].host == host)
			return &play.servers[i];
	return NULL;
}

static void on_connection(void *arg, int flags)
{
	int *listener = arg, fd;
	struct endpoint from;
	struct peer *peer;

	(void)flags;
	fd = net_accept(*listener, &from);
	if (fd < 0)
		return;
	play.result->connections++;
	peer = mem_alloc(sizeof(*peer));
	peer->next = play.peers;
	play.peers = peer;
	peer->server = next_server((int)(listener - play.listeners) + 1);
	note("--", "connection");
	if (peer->server == NULL) {
		close(fd);
		wrong("a connection too many");
		return;
	}
	peer->server->used = true;
	peer->line = peer->server->first;
	peer->stream = stream_new(fd, DATA_MAX, on_stream, peer);
	advance(peer);
}

static void listen_all(void)
{
	struct endpoint endpoint;
	int i;

	for (i = 0; i < play.hosts; i++) {
		endpoint_parse(&endpoint, "127.0.0.1", 0);
		play.listeners[i] = net_listen(&endpoint, 16);
		net_local(play.listeners[i], &endpoint);
		play.ports[i] = endpoint_port(&endpoint);
		if (play.closed[i]) {
			close(play.listeners[i]);
			play.listeners[i] = -1;
			continue;
		}
		watch_init(&play.watches[i], play.listeners[i], on_connection,
		    &play.listeners[i]);
		watch_set(&play.watches[i], WATCH_READ);
	}
}

/* --- the client --- */

static void set_pin(struct scripted_job *job, struct plan *plan)
{
	plan->fingerprints = arena_alloc(play.arena, DIGEST_BYTES);
	plan->fingerprint_count = 1;
	memcpy(plan->fingerprints[0], strcmp(job->pin, "key") == 0 ?
	    good.key_digest : good.digest, DIGEST_BYTES);
	if (strcmp(job->pin, "bad") == 0)
		plan->fingerprints[0][0] ^= 1;
}

static void make_host(struct scripted_job *job, struct plan *plan, int index)
{
	struct plan_host *host = &plan->hosts[plan->host_count++];
	enum requirement stronger;
	size_t i;

	snprintf(host->name, sizeof(host->name), "mx%d.test", index + 1);
	snprintf(host->reason, sizeof(host->reason), "as the test says");
	if (strcmp(job->sni, "none") != 0)
		set_text(host->sni, sizeof(host->sni), job->sni[0] == '\0' ?
		    host->name : job->sni);
	host->requirement = job->differs_at[index] ?
	    job->requirement_at[index] : job->requirement;
	host->source = job->source;
	host->skip = job->skip_at[index];
	if (job->forbidden_at[index])
		status_print(&host->skipped, STATUS_FAILED, REASON_REQUIRETLS,
		    "5.7.10", "%s is not used: REQUIRETLS", host->name);
	else if (host->skip)
		status_print(&host->skipped, STATUS_DEFERRED, REASON_STS_MX,
		    "4.7.5", "%s is not used: the test says so", host->name);
	if (host->skip)
		host->skipped_result = RESULT_VALIDATION_FAILURE;
	host->ideal = job->ideal;
	host->ideal_source = job->ideal_source;
	host->expects_tls = job->expects_tls;
	host->sts_mismatch = job->sts_mismatch;
	host->requiretls = job->wish == WISH_REQUIRETLS ||
	    job->wish == WISH_REQUIRETLS_BOUNCE;
	if (job->tlsa_count > 0) {
		host->tlsa_digest = 7000 + job->tlsa_count;
		set_text(host->tlsa_domain, sizeof(host->tlsa_domain),
		    host->name);
	}
	host->addresses = arena_alloc(play.arena, sizeof(struct endpoint));
	host->address_count = 1;
	endpoint_parse(host->addresses, "127.0.0.1", play.ports[index]);
	stronger = host->requirement > host->ideal ? host->requirement :
	    host->ideal;
	if (stronger == REQUIRE_DANE) {
		host->tlsa = job->tlsa;
		host->tlsa_count = job->tlsa_count;
		host->also_name = job->also_name;
	} else if (stronger != REQUIRE_NAME) {
		return;
	}
	if (job->name_count == 0)
		set_text(job->names[job->name_count++], 64, "mx1.test");
	host->names = arena_alloc_array(play.arena, 4, sizeof(char *));
	for (i = 0; i < job->name_count; i++)
		host->names[host->name_count++] = job->names[i];
}

static bool all_forbidden(const struct scripted_job *job)
{
	int i;

	for (i = 0; i < play.hosts && job->forbidden_at[i]; i++)
		continue;
	return i == play.hosts;
}

static void make_plan(struct scripted_job *job)
{
	struct plan *plan = &play.plan;
	struct digest *digest = digest_new();
	int i;

	memset(plan, 0, sizeof(*plan));
	plan->hosts = arena_alloc_array(play.arena, HOSTS_MAX,
	    sizeof(*plan->hosts));
	for (i = 0; i < play.hosts; i++)
		make_host(job, plan, i);
	plan->no_starttls = job->no_starttls;
	plan->no_starttls_after = job->no_starttls_after;
	plan->broken_tls = job->broken_tls;
	plan->broken_tls_after = job->broken_tls_after;
	plan->ttl = 60;
	plan->wish = job->wish;
	plan->sts_digest = job->sts_digest;
	plan->generation = play.questions;
	snprintf(plan->next_hop, sizeof(plan->next_hop), "example.net");
	plan->implicit_tls = job->implicit_tls;
	status_set(&plan->status, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "no host may be used");
	if (all_forbidden(job))
		status_set(&plan->status, STATUS_FAILED, REASON_REQUIRETLS,
		    "5.7.10", "no host may be used");
	set_pin(job, plan);
	digest_add(digest, &job->requirement, sizeof(job->requirement));
	digest_add(digest, job->plan, strlen(job->plan));
	digest_add(digest, &job->wish, sizeof(job->wish));
	digest_add(digest, &job->ideal, sizeof(job->ideal));
	digest_end(digest, plan->key);
	if (job->key[0] != '\0')
		digest_of(job->key, strlen(job->key), plan->key);
	fake_policy_plan = plan;
}

/* The plan of the job first, then its replans, the last one again and again. */
static void on_asked(void)
{
	size_t next = play.plan_at + 1;

	if (play.questions++ > 0 && next < play.job_count &&
	    play.jobs[next].is_replan)
		play.plan_at = next;
	make_plan(&play.jobs[play.plan_at]);
	if (fake_policy_wish != play.jobs[play.job_at].wish)
		wrong("the question has wish %d", (int)fake_policy_wish);
	if (fake_policy_level != play.job->tls_level)
		wrong("the question has level %d", fake_policy_level);
}

/* As the role does. */
static void on_change(void *arg, const char *pattern)
{
	(void)arg;
	if (pattern[0] == '\0')
		pool_flush(play.scene.pool);
	if (play.attempt != NULL)
		attempt_replan(play.attempt, pattern);
}

static void start_job(void *unused)
{
	struct scripted_job *job = &play.jobs[play.job_at];
	struct job *made;
	size_t i;

	(void)unused;
	play.plan_at = play.job_at;
	play.questions = 0;
	job->job.sender = job->from;
	job->job.envid = job->envid[0] == '\0' ? NULL : job->envid;
	job->job.domain = "example.net";
	job->job.prefix = job->prefix;
	job->job.body = job->body;
	if (job->trouble > 0)
		job->job.tls_trouble_since = clock_wall() -
		    job->trouble * 1000;
	made = fake_job_new(&job->job);
	if (play.profile->conf->route_count > 0)
		conf_next_hop(play.profile->conf, job->job.domain,
		    &made->next);
	made->next.route = NULL;
	for (i = 0; i < job->to_count; i++)
		fake_job_add(made, job->to[i].address,
		    job->to[i].original[0] == '\0' ? NULL :
		    job->to[i].original, job->to[i].notify);
	play.job = made;
	play.attempt = attempt_start(&play.scene, made);
}

static const char *tls_word(const struct status *status)
{
	const char *verify = strstr(status->tls, "verify=");

	return verify == NULL ? status->tls : verify + 7;
}

static void compare(const struct expectation *expect, const char *address,
    const struct status *status)
{
	char enhanced[16];

	status_format_enhanced(status, enhanced, sizeof(enhanced));
	note("=", status->text);
	if ((expect->outcome[0] != '\0' && strcmp(expect->outcome,
	    status_outcome_name(status->outcome)) != 0) ||
	    (expect->code[0] != '\0' && strcmp(expect->code, enhanced) != 0) ||
	    (expect->reason[0] != '\0' && strcmp(expect->reason,
	    status_reason_name(status->reason)) != 0) ||
	    (expect->tls[0] != '\0' &&
	    strcmp(expect->tls, tls_word(status)) != 0) ||
	    strstr(status->text, expect->text) == NULL)
		wrong("%s: %s %s %s tls=%s \"%s\"; expected %s %s %s %s",
		    address, status_outcome_name(status->outcome), enhanced,
		    status_reason_name(status->reason), tls_word(status),
		    status->text, expect->outcome, expect->code,
		    expect->reason, expect->tls);
}

static void on_finished(const struct job *job, const struct status *statuses,
    bool tls_trouble)
{
	struct scripted_job *scripted = &play.jobs[play.job_at];
	size_t i, k;
	unsigned found;

	play.result->tls_trouble = tls_trouble;
	play.result->first = statuses[0];
	for (k = 0; k < scripted->expect_count; k++) {
		struct expectation *expect = &scripted->expect[k];

		found = 0;
		for (i = 0; i < job->recipient_count; i++) {
			if (expect->address[0] != '*' && strcmp(
			    expect->address, job->recipients[i].address) != 0)
				continue;
			found++;
			compare(expect, job->recipients[i].address,
			    &statuses[i]);
		}
		if (found == 0)
			wrong("script: nobody is %s", expect->address);
	}
	if (scripted->expect_questions > 0 &&
	    scripted->expect_questions != play.questions)
		wrong("a plan was asked for %u times", play.questions);
	if (scripted->expect_trouble >= 0 &&
	    scripted->expect_trouble != (int)tls_trouble)
		wrong("tls trouble is %d", tls_trouble);
}

static bool all_ended(void)
{
	struct peer *peer;

	for (peer = play.peers; peer != NULL; peer = peer->next)
		if (peer->stream != NULL)
			return false;
	return true;
}

static void on_over(void *arg, struct attempt *attempt)
{
	(void)arg;
	(void)attempt;
	play.attempt = NULL;
	if (fake_worker_finished == NULL) {
		loop_stop();
		return;
	}
	while (++play.job_at < play.job_count &&
	    play.jobs[play.job_at].is_replan)
		continue;
	if (play.job_at < play.job_count) {
		loop_defer(start_job, &play);
		return;
	}
	pool_flush(play.scene.pool);
	play.finished = true;
	if (all_ended())
		loop_stop();
}

static void on_no_patience(void *arg)
{
	(void)arg;
	wrong("it takes too long");
}

/* --- one play --- */

static struct conf *make_conf(void)
{
	struct conf *conf = mem_alloc(sizeof(*conf));

	conf->hostname = mem_dup_string("client.test");
	conf->hello_ipv4 = mem_dup_string("client.test");
	conf->hello_ipv6 = mem_dup_string("six.client.test");
	conf->connect_timeout = conf->greeting_timeout = 20;
	conf->reply_timeout = conf->data_reply_timeout = 20;
	conf->handshake_timeout = 20;
	conf->reuse_limit = 1;
	conf->reuse_idle = 20;
	conf->allow_loopback = true;
	conf->ipv4 = conf->ipv6 = true;
	return conf;
}

static struct profile *make_profile(void)
{
	struct profile *profile = mem_alloc(sizeof(*profile));
	char error[200];
	int i;

	profile->references = 1;
	profile->conf = make_conf();
	for (i = TLS_CHECK_NONE; i < TLS_CHECKS; i++)
		profile->tls[i] = tls_client_new((enum tls_check)i,
		    i == TLS_CHECK_NAME || i == TLS_CHECK_DANE ?
		    authority.chain : NULL, error, sizeof(error));
	return profile;
}

static void begin(const char *script, struct dialog_result *result)
{
	memset(result, 0, sizeof(*result));
	memset(&play, 0, sizeof(play));
	play.result = result;
	play.hosts = 1;
	play.jobs = mem_alloc_array(JOBS_MAX, sizeof(*play.jobs));
	play.profile = make_profile();
	play.arena = arena_new(1 << 20);
	play.scene.profile = play.profile;
	play.scene.pool = pool_new();
	play.scene.over = on_over;
	fake_worker_finished = on_finished;
	fake_policy_asked = on_asked;
	fake_policy_seen_count = 0;
	policy_client_on_change(NULL, on_change, NULL);
	read_script(script);
	listen_all();
}

/* After a script that went wrong: the attempt must come to its end too. */
static void end_attempt(void)
{
	fake_worker_finished = NULL;
	if (play.attempt == NULL)
		return;
	if (!attempt_stop(play.attempt))
		fake_job_free(play.job);
	else if (play.attempt != NULL)
		loop_run();
}

static const char *word_or_none(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

static void check_sighting(size_t index)
{
	static const char *const webs[WEB_STATES] = { "unknown", "valid",
	    "invalid" };
	static const char *const stages[OBSERVED_STAGES] = { "skipped",
	    "failed", "clear", "secured" };
	const struct sighting *wanted = &play.sightings[index];
	const struct observation *seen = &fake_policy_seen[index];
	const char *const words[4] = { stages[seen->stage],
	    tls_result_name(seen->result), word_or_none(seen->symptom),
	    webs[seen->web] };
	size_t i;

	if (strcmp(wanted->host, seen->host) != 0)
		wrong("observation %zu is of %s", index + 1, seen->host);
	for (i = 0; i < 4; i++)
		if (wanted->words[i][0] != '\0' &&
		    strcmp(wanted->words[i], words[i]) != 0)
			wrong("observation %zu: %s %s, expected %s", index + 1,
			    words[i], seen->reason, wanted->words[i]);
	if (strcmp(seen->domain, "example.net") != 0)
		wrong("observation %zu is for %s", index + 1, seen->domain);
	/* Whoever failed says why. */
	if ((seen->result != RESULT_SUCCESS) && seen->reason[0] == '\0')
		wrong("observation %zu has no reason", index + 1);
	if ((seen->address.length == 0) != (seen->stage == OBSERVED_SKIPPED))
		wrong("observation %zu: address", index + 1);
	if ((seen->chain_count > 0) != (seen->version[0] != '\0'))
		wrong("observation %zu: chain", index + 1);
}

static void check_sighted(const char *text)
{
	size_t i;

	for (i = 0; i < fake_policy_seen_count; i++) {
		const struct observation *seen = &fake_policy_seen[i];

		if (strstr(seen->reason, text) != NULL ||
		    strstr(seen->reply, text) != NULL ||
		    strstr(seen->keywords, text) != NULL)
			return;
	}
	wrong("nothing observed has the text %s", text);
}

static void check_observations(void)
{
	size_t i;

	if (play.result->error[0] != '\0')
		return;
	for (i = 0; i < play.sighted_count; i++)
		check_sighted(play.sighted[i]);
	if (play.sighting_count == 0)
		return;
	for (i = 0; i < play.sighting_count && i < fake_policy_seen_count; i++)
		check_sighting(i);
	if (play.sighting_count != fake_policy_seen_count)
		wrong("%zu observations", fake_policy_seen_count);
}

static void end(void)
{
	struct peer *peer;
	size_t i;

	check_observations();
	for (i = 0; i < play.server_count; i++)
		if (!play.servers[i].used && play.result->error[0] == '\0')
			wrong("a connection was not made: server section %zu",
			    i + 1);
	timer_stop(&play.patience);
	while ((peer = play.peers) != NULL) {
		play.peers = peer->next;
		timer_stop(&peer->timer);
		if (peer->stream != NULL)
			stream_free(peer->stream);
		mem_free(peer);
	}
	end_attempt();
	for (i = 0; i < (size_t)play.hosts; i++) {
		if (play.closed[i])
			continue;
		watch_release(&play.watches[i]);
		close(play.listeners[i]);
	}
	pool_free(play.scene.pool);
	for (i = 0; i < play.job_count; i++) {
		mem_free(play.jobs[i].body);
		mem_free(play.jobs[i].prefix);
	}
	mem_free(play.jobs);
	mem_free(play.text);
	arena_free(play.arena);
	profile_release(play.profile);
}

static void stop(void *unused)
{
	(void)unused;
	loop_stop();
}

void dialog_play(const char *script, struct dialog_result *result)
{
	int turns;

	begin(script, result);
	timer_start(&play.patience, PATIENCE_MS, on_no_patience, NULL);
	if (result->error[0] == '\0') {
		loop_defer(start_job, &play);
		loop_run();
	}
	end();
	if (result->auth_in_clear > 0)
		wrong("AUTH was said in clear");
	/* What was deferred by those who went away. */
	for (turns = 0; turns < 4; turns++) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

static struct tls_server *make_server(struct pki_certificate *certificate,
    const struct pki_certificate *issuer)
{
	struct tls_server *server = tls_server_new();
	char error[200], *chain = mem_print("%s%s", certificate->chain,
	    issuer == NULL ? "" : issuer->chain);

	if (tls_server_add(server, "test", chain, certificate->key, error,
	    sizeof(error)) < 0)
		fatal("dialog-certificate", log_text("error", error));
	mem_free(chain);
	return server;
}

void dialog_init(void)
{
	log_init("test", LOG_LEVEL_ERROR);
	tls_init();
	loop_init();
	pki_make(&authority, "Test authority", NULL);
	pki_make(&good, "mx1.test", &authority);
	pki_make(&other, "elsewhere.test", &authority);
	pki_make(&stranger, "Unknown authority", NULL);
	pki_make(&self, "mx1.test", &stranger);
	servers_tls[0] = make_server(&good, NULL);
	servers_tls[1] = make_server(&other, NULL);
	servers_tls[2] = make_server(&self, NULL);
	servers_tls[3] = make_server(&good, &authority);
}

void dialog_release(void)
{
	int i;

	for (i = 0; i < SERVERS_TLS; i++)
		tls_server_free(servers_tls[i]);
	pki_release(&authority);
	pki_release(&stranger);
	pki_release(&good);
	pki_release(&other);
	pki_release(&self);
	loop_release();
}
