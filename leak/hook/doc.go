// Package hook says what git asks a hook about: the refs, objects, names and people that a push or a commit would bring, as texts that
// can be searched for secrets.
//
// It searches nothing and asks nobody: it runs git in the repository that git started the hook in, with the environment that the hook
// was given (so that a server's hook reads what is in quarantine), and changes nothing.
package hook
