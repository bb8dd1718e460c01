/* SPDX-License-Identifier: ISC */
/*
 * One job of the mailbox role: a message into the maildir of each recipient,
 * one after the other, the body read in pieces. The order of the file is
 * Return-Path, Delivered-To, then the message (RFC 5321 4.4).
 */
#ifndef POSTERN_DELIVERY_DROP_H
#define POSTERN_DELIVERY_DROP_H

struct conf;
struct drop;
struct job;
struct maildir;

/* What all drops of the process share; outlives them, except that conf may be
 * replaced between turns. */
struct drop_scene {
	const struct conf	*conf;
	struct maildir		*maildir;
	/* The folder under which mail is kept, as this process sees it: "/"
	 * when confined. */
	const char		*root;
	void			(*over)(void *arg);
	void			*arg;
};

/* The job is finished through worker_finish() in a later turn, then over() is
 * called. */
void	 drop_start(struct drop_scene *scene, struct job *job);

#endif
