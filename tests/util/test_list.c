/* SPDX-License-Identifier: Apache-2.0 */
#include "util/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

struct item {
	int value;
	struct list node;
};

/* The values in order as one decimal number. */
static int spell(struct list *head)
{
	int n = 0;

	list_for_each (item, head, struct item, node)
		n = n * 10 + item->value;
	return n;
}

static void keeps_order(void **state)
{
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct list head = LIST_INIT(head);

	(void)state;
	assert_true(list_empty(&head));
	assert_null(list_pop_front(&head));
	list_push_back(&head, &b.node);
	list_push_back(&head, &c.node);
	list_push_front(&head, &a.node);
	assert_int_equal(spell(&head), 123);
	list_del(&b.node);
	list_del(&b.node); /* twice does no harm */
	assert_int_equal(spell(&head), 13);
	assert_ptr_equal(list_pop_front(&head), &a.node);
	assert_int_equal(spell(&head), 3);
}

static void splices(void **state)
{
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct list one = LIST_INIT(one), two = LIST_INIT(two);

	(void)state;
	list_splice_back(&one, &two);
	assert_true(list_empty(&one));
	list_push_back(&one, &a.node);
	list_push_back(&two, &b.node);
	list_push_back(&two, &c.node);
	list_splice_back(&one, &two);
	assert_true(list_empty(&two));
	assert_int_equal(spell(&one), 123);
	list_splice_back(&two, &one);
	assert_int_equal(spell(&two), 123);
}

static void walk_may_delete(void **state)
{
	struct item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
	struct list head = LIST_INIT(head);

	(void)state;
	for (int i = 0; i < 4; i++)
		list_push_back(&head, &items[i].node);
	list_for_each (item, &head, struct item, node)
		if (item->value % 2)
			list_del(&item->node);
	assert_int_equal(spell(&head), 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(splices),
		cmocka_unit_test(walk_may_delete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
