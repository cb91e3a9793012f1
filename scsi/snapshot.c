/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing what tasks read without a lock: the new snapshot is published, the old one freed after
 * every thread that may be reading it has come back to its loop once.
 */
#include "scsi/lu_priv.h"
#include <errno.h>
#include <stdlib.h>

/* One old snapshot, and a post to each thread that has tasks of the LU. */
struct grace {
	atomic_uint left;
	void *old;
	struct grace_post {
		struct engine_post post;
		struct grace *grace;
	} posts[];
};

static void grace_unref(struct grace *grace)
{
	if (atomic_fetch_sub_explicit(&grace->left, 1, memory_order_acq_rel) > 1)
		return;
	free(grace->old);
	free(grace);
}

static void grace_run(struct engine_post *post)
{
	grace_unref(container_of(post, struct grace_post, post)->grace);
}

static bool seen_before(const struct scsi_lu *lu, const struct scsi_itl *until)
{
	list_for_each (itl, (struct list *)&lu->itls, struct scsi_itl, lu_node) {
		if (itl == until)
			return false;
		if (itl->nexus->engine == until->nexus->engine)
			return true;
	}
	return false;
}

void scsi_lu_retire(struct scsi_lu *lu, void *old)
{
	struct grace *grace;
	unsigned n = 0;

	if (!old)
		return;
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node)
		n++;
	grace = calloc(1, sizeof(*grace) + n * sizeof(grace->posts[0]));
	if (!grace)
		return; /* a leak of one snapshot, in a process that has no memory left */
	grace->old = old;
	atomic_init(&grace->left, 1);
	n = 0;
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node) {
		struct grace_post *post = &grace->posts[n];

		if (seen_before(lu, itl))
			continue;
		n++;
		post->grace = grace;
		post->post.run = grace_run;
		atomic_fetch_add(&grace->left, 1);
		engine_post(itl->nexus->engine, &post->post);
	}
	grace_unref(grace);
}

struct scsi_lu_view scsi_lu_look(struct scsi_lu *lu)
{
	struct scsi_lu_view view;

	pthread_mutex_lock(&lu->lock);
	view = *scsi_lu_view(lu);
	pthread_mutex_unlock(&lu->lock);
	return view;
}

int scsi_lu_change(struct scsi_lu *lu, void (*edit)(struct scsi_lu_view *view, void *arg),
		   void *arg)
{
	struct scsi_lu_view *view = malloc(sizeof(*view));
	const struct scsi_lu_view *old;

	if (!view)
		return -ENOMEM;
	pthread_mutex_lock(&lu->lock);
	old = scsi_lu_view(lu);
	*view = *old;
	edit(view, arg);
	atomic_store_explicit(&lu->view, view, memory_order_release);
	scsi_lu_retire(lu, (void *)old);
	pthread_mutex_unlock(&lu->lock);
	return 0;
}
