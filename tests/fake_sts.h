/* SPDX-License-Identifier: ISC */
/*
 * policy/sts.h for who only asks: every question gets the answer that the test
 * has set, in the next turn; or none.
 */
#ifndef POSTERN_TESTS_FAKE_STS_H
#define POSTERN_TESTS_FAKE_STS_H

#include "policy/sts.h"

extern struct sts_answer	 fake_sts_answer;
extern bool			 fake_sts_silent;
extern unsigned			 fake_sts_questions;
extern unsigned			 fake_sts_cancelled;
extern char			 fake_sts_domain[256];
/* Anything that is not null. */
extern struct sts		*const fake_sts;

#endif
