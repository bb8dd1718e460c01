/* SPDX-License-Identifier: ISC */
/*
 * The negative answers that are the same each time: a value with code,
 * enhanced code and text, so that a check can say what is wrong and somebody
 * else can say it to the client. The table of them is in refusal.c.
 */
#ifndef POSTERN_SMTPD_REFUSAL_H
#define POSTERN_SMTPD_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

struct refusal {
	uint16_t	 code;
	const char	*enhanced;
	const char	*text;
	bool		 host;	/* our name goes before the text (421) */
	bool		 close;	/* the session ends with it */
};

/* syntax and order */
extern const struct refusal	 refusal_unknown, refusal_not_implemented;
extern const struct refusal	 refusal_argument, refusal_no_argument;
extern const struct refusal	 refusal_line_long, refusal_line_endless;
extern const struct refusal	 refusal_line_bare, refusal_line_nul;
extern const struct refusal	 refusal_line_8bit;
extern const struct refusal	 refusal_hello_first, refusal_lhlo_first;
extern const struct refusal	 refusal_mail_first, refusal_unknown_client;
extern const struct refusal	 refusal_nested_mail, refusal_recipient_first;
extern const struct refusal	 refusal_no_recipients, refusal_http;
extern const struct refusal	 refusal_early, refusal_pipelined;
extern const struct refusal	 refusal_starttls_residual;
extern const struct refusal	 refusal_parameter_unknown;
extern const struct refusal	 refusal_parameter_twice;
extern const struct refusal	 refusal_parameter_value;

/* TLS */
extern const struct refusal	 refusal_tls_first, refusal_tls_active;
extern const struct refusal	 refusal_tls_transaction;
extern const struct refusal	 refusal_tls_disabled, refusal_tls_unavailable;
extern const struct refusal	 refusal_requiretls_clear;

/* logins */
extern const struct refusal	 refusal_auth_disabled, refusal_auth_done;
extern const struct refusal	 refusal_auth_transaction;
extern const struct refusal	 refusal_login, refusal_login_later;
extern const struct refusal	 refusal_login_mechanism;
extern const struct refusal	 refusal_login_message, refusal_login_base64;
extern const struct refusal	 refusal_login_cancelled, refusal_login_long;
extern const struct refusal	 refusal_login_unavailable, refusal_logins;
extern const struct refusal	 refusal_owner, refusal_owner_unknown;

/* addresses */
extern const struct refusal	 refusal_sender_syntax, refusal_sender_domain;
extern const struct refusal	 refusal_recipient_syntax;
extern const struct refusal	 refusal_recipient_domain;
extern const struct refusal	 refusal_utf8;
extern const struct refusal	 refusal_no_user, refusal_relay;
extern const struct refusal	 refusal_recipients, refusal_directory;

/* message */
extern const struct refusal	 refusal_size, refusal_space, refusal_queue;
extern const struct refusal	 refusal_bare_newline, refusal_nul;
extern const struct refusal	 refusal_message_line, refusal_loop;
extern const struct refusal	 refusal_chunk_syntax, refusal_chunk_size;
extern const struct refusal	 refusal_chunk_absurd, refusal_chunk_after;
extern const struct refusal	 refusal_data_after_bdat;

/* the session as a whole */
extern const struct refusal	 refusal_errors, refusal_timeout;
extern const struct refusal	 refusal_stopping, refusal_internal;
extern const struct refusal	 refusal_busy, refusal_busy_client;

#endif
