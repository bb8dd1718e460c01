/* SPDX-License-Identifier: ISC */
/*
 * The sentences of this role, one function each:
 *
 *	s=… smtpd connect addr= name= listener= [uid=]
 *	s=… smtpd tls version= cipher= sni= resumed=
 *	s=… smtpd client-certificate listed= fingerprint= key= subject=
 *	s=… smtpd login user= mechanism= tls= addr=
 *	s=… smtpd reject addr= [check=] verb= reply= from= to=
 *	s=… m=… smtpd accept from= rcpts= size= tls= addr= [tag=] [spf=]
 *		[dkim=] [dmarc=] [signed=] [edited=] [hold=]
 *	s=… m=… smtpd discard by= from=
 *	s=… smtpd would-reject addr= check= reply= from= to=
 *	s=… m=… smtpd tls-required fields= ignored=
 *	s=… smtpd disconnect reason= commands= messages= rejects=
 */
#ifndef POSTERN_SMTPD_SMTPD_LOG_H
#define POSTERN_SMTPD_SMTPD_LOG_H

struct check_outcome;
struct endpoint;
struct session;

/* Once per session, whoever calls first: with the name if it is known. */
void	 smtpd_log_connect(struct session *session);
void	 smtpd_log_tls(struct session *session);
/* After AUTH: who it is. */
void	 smtpd_log_login(struct session *session);
/* The first REJECTS_LOGGED of a session; the rest are counted. */
void	 smtpd_log_reject(struct session *session, int code,
	    const char *enhanced, const char *text);
/* The check (checks.c) that the next reject comes from; null: none. */
void	 smtpd_log_set_check(const char *check);
/* The recipient that the next reject is about; null: none. */
void	 smtpd_log_set_recipient(const char *recipient);
void	 smtpd_log_accept(struct session *session);
/* A filter wants it to be forgotten. */
void	 smtpd_log_discard(struct session *session, const char *by);
/* A check that only warns would have refused it so. */
void	 smtpd_log_would_reject(struct session *session,
	    const struct check_outcome *outcome);
/* The field TLS-Required changes nothing for this message (REQ-20). */
void	 smtpd_log_tls_required(struct session *session, const char *reason);
void	 smtpd_log_disconnect(struct session *session, const char *reason);
/* A connection that got no session. */
void	 smtpd_log_refused(const struct endpoint *address, const char *reason);

#endif
