package notify

import "context"

// Reacher is a receiver that can be asked whether it would take a message, without sending one.
type Reacher interface {
	// Reach asks and changes nothing. Its errors are like those of Send, and hold no secret.
	Reach(context.Context) (Contact, error)
}

// Contact is what a receiver that answers says of itself.
type Contact struct {
	Says  string // what answered
	Doubt string // what will not work all the same; "": nothing is known
	Fix   string // what a person does about Doubt
}
