/* SPDX-License-Identifier: ISC */
/*
 * The checks of checks.c that count: who may not come at all, and how much a
 * client, its network, a sender and a user may do in a time (rates.h). Strangers
 * are counted by their address, those we know by who they are.
 */
#ifndef POSTERN_SMTPD_LIMITS_H
#define POSTERN_SMTPD_LIMITS_H

#include "smtpd/checks.h"

enum check_answer	 limits_denied(struct session *session);
enum check_answer	 limits_connection(struct session *session);
enum check_answer	 limits_network_connection(struct session *session);
enum check_answer	 limits_message(struct session *session);
enum check_answer	 limits_user(struct session *session);
enum check_answer	 limits_recipient(struct session *session);
enum check_answer	 limits_network_recipient(struct session *session);
enum check_answer	 limits_sender(struct session *session);
enum check_answer	 limits_user_recipient(struct session *session);

#endif
