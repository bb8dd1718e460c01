/* SPDX-License-Identifier: ISC */
/*
 * The mailbox role: its life.
 */
#include "delivery/mailbox.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "delivery/drop.h"
#include "delivery/maildir.h"
#include "queue/client.h"

/* Writing is one at a time anyway; the others only wait for their bodies. */
enum { MAILBOX_SLOTS = 32 };

static struct drop_scene scene;
static struct conf *conf;	/* owned; scene.conf */
static struct worker *worker;
static unsigned drops;		/* in flight */
static bool stopping;

static void on_settled(void *arg)
{
	(void)arg;
	process_exit(0);
}

static void stop_if_done(void)
{
	if (stopping && drops == 0)
		worker_when_settled(worker, on_settled, NULL);
}

static void on_over(void *arg)
{
	(void)arg;
	drops--;
	stop_if_done();
}

static void on_job(void *arg, struct job *job)
{
	(void)arg;
	/* It stays the queue's: our end gives it back untouched. */
	if (stopping)
		return;
	drops++;
	drop_start(&scene, job);
}

static const char *root_folder(void)
{
	return process_is_confined() ? "/" : conf->mail_directory;
}

static int on_configure(const void *data, size_t length, char *error,
    size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	char *errors = NULL;
	struct conf *fresh;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration did not arrive whole");
		return -1;
	}
	fresh = conf_read(bundle->name, bundle->text, &errors);
	bundle_free(bundle);
	if (fresh == NULL) {
		snprintf(error, size, "%s", errors == NULL ?
		    "the configuration cannot be read" : errors);
		mem_free(errors);
		return -1;
	}
	mem_free(errors);
	if (conf != NULL)
		conf_free(conf);
	conf = fresh;
	scene.conf = conf;
	scene.root = root_folder();
	return 0;
}

static void on_start(void)
{
	scene.maildir = maildir_new(conf->hostname);
	scene.root = root_folder();
	scene.over = on_over;
	worker = worker_new(on_job, NULL);
}

static void on_peer(const struct process_peer *peer, int fd)
{
	if (peer->role == ROLE_QUEUE) {
		worker_connect(worker, fd, stopping ? 0 : MAILBOX_SLOTS);
		return;
	}
	log_error("unexpected-peer", log_text("role", role_name(peer->role)));
	close(fd);
}

static void on_stop(void)
{
	stopping = true;
	stop_if_done();
}

const struct role_entry mailbox_entry = {
	.role = ROLE_MAILBOX,
	.configure = on_configure,
	.start = on_start,
	.peer = on_peer,
	.stop = on_stop,
};
