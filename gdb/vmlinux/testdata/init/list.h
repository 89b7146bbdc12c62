struct node {
	struct node *next;
	int value;
};

static inline __attribute__((always_inline)) void list_add(struct node *head, struct node *n)
{
	n->next = head->next;
	head->next = n;
}
