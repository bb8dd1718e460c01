/* SPDX-License-Identifier: ISC */
/*
 * The checks of checks.c that ask or wait: delay of the greeting and who talks
 * before it, lists in the DNS, the reverse name, greylisting. They are about
 * strangers who bring mail to listeners of service smtp; greylisting is about
 * strangers anywhere.
 *
 * The lists are asked all at the same time, while the greeting waits, and have
 * LISTS_MS together; one that does not answer by then, or refuses to, counts as
 * if the client were not in it, and the log tells so once an hour.
 */
#ifndef POSTERN_SMTPD_SCREENING_H
#define POSTERN_SMTPD_SCREENING_H

#include "smtpd/checks.h"

struct session;

enum check_answer	 screening_delay(struct session *session);
enum check_answer	 screening_early(struct session *session);
enum check_answer	 screening_good_lists(struct session *session);
enum check_answer	 screening_bad_lists(struct session *session);
enum check_answer	 screening_reverse(struct session *session);
enum check_answer	 screening_greylist(struct session *session);

/* The client said something before the greeting. */
void	 screening_heard(struct session *session);
/* What client_name() says holds now. */
void	 screening_name_known(struct session *session);
/* Cancels what is being asked; none is allowed. */
void	 screening_free(struct session *session);

#endif
