/* A module of PAM that asks for what no password answers: a text that is shown while it is typed. */

struct message { int style; const char *text; };
struct response { char *text; int unused; };
struct conversation {
    int (*ask)(int, const struct message **, struct response **, void *);
    void *data;
};

int pam_get_item(const void *, int, const void **);

int pam_sm_authenticate(void *handle, int flags, int count, const char **arguments)
{
    enum { conversation_item = 5, shown = 2, success = 0, wrong = 7 };
    struct message message = { shown, "Your mother's maiden name: " };
    const struct message *messages[] = { &message };
    struct response *responses = 0;
    const void *item = 0;
    (void)flags, (void)count, (void)arguments;
    if (pam_get_item(handle, conversation_item, &item) != success || !item)
        return wrong;
    const struct conversation *conversation = item;
    return conversation->ask(1, messages, &responses, conversation->data) == success ? success : wrong;
}

int pam_sm_setcred(void *handle, int flags, int count, const char **arguments)
{
    (void)handle, (void)flags, (void)count, (void)arguments;
    return 0;
}
