/* SPDX-License-Identifier: ISC */
/*
 * A host is there as long as a destination has it as its last failure: there
 * are never more hosts than destinations.
 */
#include "queue/host.h"

#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "conf/conf.h"
#include "queue/destination.h"

/* As for destinations: two failures in a row are the host. */
enum { REST_AFTER = 2,
	/* For so long others wait for what becomes of one try. */
	PROBE_MILLISECONDS = 60 * 1000,
	/* Times retry-max that a destination waits for a host at most. */
	WAIT_MOST = 3 };

struct hosts {
	struct hash	*by_name;	/* owns the values */
};

struct hosts *hosts_new(void)
{
	struct hosts *hosts = mem_alloc(sizeof(*hosts));

	hosts->by_name = hash_new();
	return hosts;
}

void hosts_free(struct hosts *hosts)
{
	if (hash_count(hosts->by_name) > 0)
		bug("hosts-in-use");
	hash_free(hosts->by_name);
	mem_free(hosts);
}

size_t hosts_count(const struct hosts *hosts)
{
	return hash_count(hosts->by_name);
}

struct host *hosts_find(const struct hosts *hosts, const char *name)
{
	return hash_find_text(hosts->by_name, name);
}

static struct host *host_get(struct hosts *hosts, const char *name)
{
	struct host *host = hosts_find(hosts, name);

	if (host != NULL)
		return host;
	host = mem_alloc(sizeof(*host));
	host->name = mem_dup_string(name);
	LIST_INIT(&host->destinations);
	hash_put_text(hosts->by_name, name, host);
	return host;
}

void host_forget(struct hosts *hosts, struct destination *destination)
{
	struct host *host = destination->host;

	if (host == NULL)
		return;
	destination->host = NULL;
	LIST_REMOVE(destination, at_host);
	if (!LIST_EMPTY(&host->destinations))
		return;
	hash_remove_text(hosts->by_name, host->name);
	mem_free(host->name);
	mem_free(host);
}

static const char *name_of(const struct status *status)
{
	return status->reason == REASON_CONNECT ||
	    status->reason == REASON_TIMEOUT ? status->host : "";
}

void host_failed(struct hosts *hosts, struct destination *destination,
    const struct status *status, const struct conf *conf, int64_t now)
{
	const char *name = name_of(status);
	struct host *host = name[0] == '\0' ? NULL : host_get(hosts, name);

	if (host != destination->host) {
		host_forget(hosts, destination);
		destination->host = host;
		if (host != NULL)
			LIST_INSERT_HEAD(&host->destinations, destination,
			    at_host);
	}
	if (host == NULL || now < host->until)
		return;
	host->probed_until = 0;
	if (++host->failures >= REST_AFTER)
		host->until = now + destination_backoff(conf,
		    host->failures - 1);
}

bool host_is_resting(const struct destination *destination, int64_t now)
{
	return destination->host != NULL && destination->host->until > now;
}

int64_t host_wait(struct destination *destination, const struct conf *conf,
    int64_t now)
{
	struct host *host = destination->host;
	int64_t most = destination->failed_at +
	    WAIT_MOST * conf->retry_max * 1000;
	int64_t wait;

	if (host == NULL || now >= most)
		return now;
	wait = (host->until > host->probed_until ? host->until :
	    host->probed_until) - now;
	if (wait <= 0) {
		host->probed_until = now + PROBE_MILLISECONDS;
		return now;
	}
	/* Apart from each other: the first one that comes tries it. */
	wait += random_below((uint32_t)(wait / 10) + 1);
	return now + wait < most ? now + wait : most;
}
