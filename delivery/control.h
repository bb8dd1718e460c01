/* SPDX-License-Identifier: ISC */
/*
 * What an operator may ask of the delivery role:
 *
 *	probe {"domain": D, "waited": SECONDS}
 *		The plan for mail of that age (0 when left out) is made, and
 *		its hosts are connected to, up to but not including MAIL; the
 *		lines of probe.h. The end is 0 when mail would go somewhere, 1
 *		when it would not, and says why; 75 when nobody could try.
 *
 * For root alone (or the user who runs an unprivileged server): it makes the
 * server connect to whatever hosts a name leads to.
 */
#ifndef POSTERN_DELIVERY_CONTROL_H
#define POSTERN_DELIVERY_CONTROL_H

struct attempt_scene;
struct process_caller;

/* Owns fd; the scene outlives us. */
void	 delivery_control(struct attempt_scene *scene, int fd,
	    const struct process_caller *caller);
/* Ends what is under way, and takes nothing more. */
void	 delivery_control_stop(void);

#endif
