package otlplog

// What two Longshores tell each other in the headers of a request and its answer.
const (
	// SenderHeader names the sender: the same over its restarts.
	SenderHeader = "Longshore-Sender"
	// UncertainHeader is there where records of the request may have been sent before.
	UncertainHeader = "Longshore-Uncertain"
	// ReceiverHeader is ReceiverIs in every answer of a Longshore.
	ReceiverHeader = "Longshore-Receiver"
	ReceiverIs     = "otlp"
)
