/* SPDX-License-Identifier: ISC */
/*
 * Worlds that nobody wrote: put together from the parts that faults are made
 * of, by a seed, with the correct outcome from oracle.h. The same seed and
 * number give the same world on every machine.
 */
#ifndef POSTERN_TOOLS_LAB_COMPOSE_H
#define POSTERN_TOOLS_LAB_COMPOSE_H

#include <stdint.h>

#include "tools/lab/scenario.h"

/* Scenario NUMBER (from 0) of SEED, named "random-SEED-NUMBER"; it is as one
 * that was read, and freed by lab_scenario_free(). Its text names its parts. */
struct lab_scenario	*lab_compose(uint64_t seed, unsigned number);

/* The parts there are, by number. Each is the main one of one world in as many
 * as there are. */
unsigned	 lab_compose_parts(void);
const char	*lab_compose_part(unsigned which);

#endif
