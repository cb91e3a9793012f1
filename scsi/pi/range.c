/* SPDX-License-Identifier: Apache-2.0 */
/* See range.h. The ranges under way are few, so a list is looked through. */
#include "scsi/pi/range.h"
#include <assert.h>

void pi_ranges_init(struct pi_ranges *ranges)
{
	pthread_mutex_init(&ranges->lock, NULL);
	list_init(&ranges->all);
	ranges->n_waiting = 0;
}

void pi_ranges_fini(struct pi_ranges *ranges)
{
	assert(list_empty(&ranges->all));
	pthread_mutex_destroy(&ranges->lock);
}

/* Whether nothing that came before @range is in its way. */
static bool is_free(struct pi_ranges *ranges, const struct pi_range *range)
{
	list_for_each (other, &ranges->all, struct pi_range, node) {
		if (other == range)
			break;
		if ((other->alone || range->alone) && other->first < range->end &&
		    range->first < other->end)
			return false;
	}
	return true;
}

static void posted(struct engine_post *post)
{
	struct pi_range *range = container_of(post, struct pi_range, post);

	range->taken(range);
}

bool pi_range_take(struct pi_ranges *ranges, struct pi_range *range)
{
	bool has;

	range->post.run = posted;
	pthread_mutex_lock(&ranges->lock);
	list_push_back(&ranges->all, &range->node);
	has = range->has = is_free(ranges, range);
	ranges->n_waiting += !has;
	pthread_mutex_unlock(&ranges->lock);
	return has; /* by now it may have been given: then its post says so */
}

void pi_range_give_back(struct pi_ranges *ranges, struct pi_range *range)
{
	pthread_mutex_lock(&ranges->lock);
	assert(range->has);
	list_del(&range->node);
	if (ranges->n_waiting)
		list_for_each (other, &ranges->all, struct pi_range, node) {
			if (other->has || !is_free(ranges, other))
				continue;
			other->has = true;
			ranges->n_waiting--;
			engine_post(other->engine, &other->post);
		}
	pthread_mutex_unlock(&ranges->lock);
}
