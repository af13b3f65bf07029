/* SPDX-License-Identifier: Apache-2.0
 *
 * New values of states as work that is only queued on a device, for phases that record it.
 */
#ifndef LIBGEN_TRAIN_PENDING_H
#define LIBGEN_TRAIN_PENDING_H

#include <libgen/train.h>

/* Where statistics are; not while something is recorded. */
gen_status gen_pending_bind(gen_pending *p, const float *const statistic[]);
void gen_pending_count(gen_pending *p); /* one micro-batch more, to be queued */
gen_status gen_pending_queue_add(gen_pending *p);
gen_status gen_pending_queue_look(const gen_pending *p, int32_t *bad);
gen_status gen_pending_queue_commit(gen_pending *p, const int32_t *bad);
void gen_pending_committed(gen_pending *p); /* it was done */
/* The sentence about the first new value that is not finite; GEN_OK: all are. */
gen_status gen_pending_say(const gen_pending *p, const gen_look *l);

#endif
