/* SPDX-License-Identifier: ISC */
/*
 * Delivery into maildirs, one recipient a turn; see drop.h.
 */
#include "delivery/drop.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "delivery/delivery_log.h"
#include "delivery/mail.h"
#include "delivery/maildir.h"
#include "delivery/maildir_text.h"
#include "queue/client.h"

enum { PIECE_MAX = WORKER_READ_MAX, OUT_MAX = PIECE_MAX + 4096 };

struct drop {
	struct drop_scene	*scene;		/* outlives us */
	struct mail		 mail;		/* with the job, borrowed */
	size_t			 index;		/* of the recipient */

	/* of the recipient at hand */
	struct maildir_file	*file;		/* owned; null between them */
	struct maildir_text	 text;
	char			 mailbox[ADDRESS_MAX + 1];
	size_t			 prefix_offset;
	uint64_t		 offset;	/* of the body */
	struct buf		 out;		/* one piece, made ready */
};

static void next_recipient(void *arg);

/* --- where --- */

/* Does a path lead upwards somewhere? */
static bool climbs(const char *path)
{
	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += length;
		path += strspn(path, "/");
	}
	return false;
}

/* The part of an absolute path below mail-directory; null if it is not. */
static const char *below_mail(const struct conf *conf, const char *path)
{
	size_t length = strlen(conf->mail_directory);

	while (length > 1 && conf->mail_directory[length - 1] == '/')
		length--;
	if (strncmp(path, conf->mail_directory, length) != 0 ||
	    path[length] != '/' || climbs(path))
		return NULL;
	path += length;
	path += strspn(path, "/");
	return *path == '\0' ? NULL : path;
}

/* The folder of a domain, below the root; -1 if its maildir is elsewhere. */
static int domain_folder(const struct drop_scene *scene, const char *domain,
    char *out, size_t size)
{
	const struct conf_domain *own = conf_domain_find(scene->conf, domain);
	const char *path;
	size_t length;

	if (own == NULL || own->maildir == NULL || own->maildir[0] == '\0')
		return maildir_name(out, size, domain);
	path = below_mail(scene->conf, own->maildir);
	if (path == NULL || snprintf(out, size, "%s", path) >= (int)size)
		return -1;
	length = strlen(out);
	while (length > 0 && out[length - 1] == '/')
		out[--length] = '\0';
	return 0;
}

/* What a maildir of the recipient at hand may hold; 0: no limit. */
static int64_t quota_of(const struct drop *drop)
{
	const char *at = strrchr(drop->mailbox, '@');
	const struct conf_domain *own = at == NULL ? NULL :
	    conf_domain_find(drop->scene->conf, at + 1);

	return own == NULL ? 0 : own->quota;
}

/* "example.org/alice"; -1 with a status. */
static int find_path(struct drop *drop, char *path, size_t size,
    struct status *status)
{
	const struct job_recipient *to =
	    &drop->mail.job->recipients[drop->index];
	struct address address;
	char folder[MAILDIR_PATH_MAX / 2], name[256];

	if (address_parse(&address, to->address) != ADDRESS_OK ||
	    maildir_name(name, sizeof(name), address.local) < 0) {
		status_set(status, STATUS_FAILED, REASON_LOCAL, "5.1.3",
		    "the address cannot name a mailbox");
		return -1;
	}
	if (domain_folder(drop->scene, address.domain, folder,
	    sizeof(folder)) < 0) {
		status_print(status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "the maildir of %s is not below mail-directory",
		    address.domain);
		return -1;
	}
	snprintf(path, size, "%s/%s", folder, name);
	address_format(&address, drop->mailbox, sizeof(drop->mailbox));
	return 0;
}

/* --- the end of a recipient, and of all --- */

static void finish(struct drop *drop)
{
	struct delivery_log_relay relay = { .tls = "none" };
	struct drop_scene *scene = drop->scene;
	struct job *job = drop->mail.job;
	size_t i;

	snprintf(relay.place, sizeof(relay.place), "maildir");
	for (i = 0; i < job->recipient_count; i++)
		delivery_log_verdict(job, &job->recipients[i],
		    &drop->mail.statuses[i], &relay);
	worker_finish(job, drop->mail.statuses, false);
	mail_release(&drop->mail);
	maildir_text_release(&drop->text);
	buf_release(&drop->out);
	mem_free(drop);
	scene->over(scene->arg);
}

static void end_recipient(struct drop *drop, const struct status *status)
{
	drop->mail.statuses[drop->index] = *status;
	if (drop->file != NULL)
		maildir_abandon(drop->file);
	drop->file = NULL;
	drop->index++;
	/* Syncing takes time: others get their turn in between. */
	loop_defer(next_recipient, drop);
}

static void commit(struct drop *drop)
{
	struct maildir_file *file = drop->file;
	struct status status;

	drop->file = NULL;
	if (maildir_commit(file, &status) == 0)
		status_set(&status, STATUS_DELIVERED, REASON_NONE, "2.0.0",
		    "in the mailbox");
	end_recipient(drop, &status);
}

/* --- writing --- */

/* Writes what is ready; false after the recipient has ended. */
static bool write_out(struct drop *drop)
{
	struct status status;
	int result = maildir_write(drop->file, buf_data(&drop->out),
	    buf_length(&drop->out), &status);

	buf_reset(&drop->out);
	if (result == 0 && !drop->text.loops)
		return true;
	if (result == 0)
		status_print(&status, STATUS_FAILED, REASON_LOOP, "5.4.6",
		    "mail loop: it was delivered to %s before",
		    drop->mailbox);
	end_recipient(drop, &status);
	return false;
}

static bool write_piece(struct drop *drop, const char *data, size_t length)
{
	maildir_text_feed(&drop->text, data, length, &drop->out);
	return write_out(drop);
}

static void read_on(struct drop *drop);

static void on_body(void *arg, const void *data, size_t length, bool failed)
{
	struct drop *drop = arg;
	struct status status;

	if (failed || length == 0 || length > PIECE_MAX ||
	    length > drop->mail.job->body_length - drop->offset) {
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
		    "the stored message could not be read");
		end_recipient(drop, &status);
		return;
	}
	drop->offset += length;
	if (write_piece(drop, data, length))
		read_on(drop);
}

static void read_on(struct drop *drop)
{
	if (drop->offset < drop->mail.job->body_length) {
		worker_read(drop->mail.job, drop->offset, on_body, drop);
		return;
	}
	maildir_text_end(&drop->text, &drop->out);
	if (write_out(drop))
		commit(drop);
}

static bool write_prefix(struct drop *drop)
{
	const struct job *job = drop->mail.job;

	while (drop->prefix_offset < job->prefix_length) {
		size_t length = job->prefix_length - drop->prefix_offset;

		if (length > PIECE_MAX)
			length = PIECE_MAX;
		if (!write_piece(drop, job->prefix + drop->prefix_offset,
		    length))
			return false;
		drop->prefix_offset += length;
	}
	return true;
}

static void next_recipient(void *arg)
{
	struct drop *drop = arg;
	char path[MAILDIR_PATH_MAX];
	struct status status;

	if (drop->index == drop->mail.job->recipient_count) {
		finish(drop);
		return;
	}
	if (find_path(drop, path, sizeof(path), &status) == 0)
		drop->file = maildir_create(drop->scene->maildir,
		    drop->scene->root, path, &status);
	if (drop->file == NULL || maildir_limit(drop->file, quota_of(drop),
	    &status) < 0) {
		end_recipient(drop, &status);
		return;
	}
	maildir_text_release(&drop->text);
	maildir_text_init(&drop->text, drop->mailbox);
	drop->prefix_offset = 0;
	drop->offset = 0;
	buf_print(&drop->out, "Return-Path: <%s>\nDelivered-To: %s\n",
	    drop->mail.job->sender, drop->mailbox);
	if (write_out(drop) && write_prefix(drop))
		read_on(drop);
}

/* --- beginning --- */

static void refuse(void *arg)
{
	struct drop *drop = arg;
	struct status status;

	status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
	    "this mail is not for the mailbox role");
	mail_settle(&drop->mail, RECIPIENT_OPEN, RECIPIENT_DONE, &status);
	finish(drop);
}

void drop_start(struct drop_scene *scene, struct job *job)
{
	struct drop *drop = mem_alloc(sizeof(*drop));

	drop->scene = scene;
	mail_init(&drop->mail, job);
	maildir_text_init(&drop->text, drop->mailbox);
	buf_init(&drop->out, OUT_MAX);
	loop_defer(job->next.transport == TRANSPORT_MAILDIR ?
	    next_recipient : refuse, drop);
}
