package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// A verdict is what a broker's answer means for what was sent.
type verdict struct {
	outcome   pipeline.Outcome
	uncertain bool // it may be stored
	tooLarge  bool
	// stale says that partitions have moved, or that what is known of the topic is wrong.
	stale bool
	// producer says that the producer must begin anew.
	producer bool
}

// verdicts of Kafka's error codes; of others nothing is known, so they are uncertain.
var verdicts = map[int16]verdict{
	kerr.NotLeaderForPartition.Code:        {stale: true},
	kerr.LeaderNotAvailable.Code:           {stale: true},
	kerr.FencedLeaderEpoch.Code:            {stale: true},
	kerr.UnknownLeaderEpoch.Code:           {stale: true},
	kerr.ReplicaNotAvailable.Code:          {stale: true},
	kerr.UnknownTopicOrPartition.Code:      {outcome: pipeline.Hold, stale: true},
	kerr.UnknownTopicID.Code:               {outcome: pipeline.Hold, stale: true},
	kerr.InvalidTopicException.Code:        {outcome: pipeline.Hold},
	kerr.KafkaStorageError.Code:            {stale: true},
	kerr.NotEnoughReplicas.Code:            {},
	kerr.CoordinatorLoadInProgress.Code:    {},
	kerr.CoordinatorNotAvailable.Code:      {},
	kerr.NotCoordinator.Code:               {},
	kerr.ConcurrentTransactions.Code:       {},
	kerr.ThrottlingQuotaExceeded.Code:      {},
	kerr.OperationNotAttempted.Code:        {},
	kerr.NotEnoughReplicasAfterAppend.Code: {uncertain: true},
	kerr.RequestTimedOut.Code:              {uncertain: true},
	kerr.NetworkException.Code:             {uncertain: true, stale: true},

	kerr.MessageTooLarge.Code:    {tooLarge: true, outcome: pipeline.Split},
	kerr.RecordListTooLarge.Code: {tooLarge: true, outcome: pipeline.Split},
	kerr.InvalidRecord.Code:      {outcome: pipeline.Bisect},
	kerr.CorruptMessage.Code:     {outcome: pipeline.Bisect},
	kerr.PolicyViolation.Code:    {outcome: pipeline.Bisect},

	kerr.TopicAuthorizationFailed.Code:           {outcome: pipeline.Hold},
	kerr.ClusterAuthorizationFailed.Code:         {outcome: pipeline.Hold},
	kerr.TransactionalIDAuthorizationFailed.Code: {outcome: pipeline.Hold},
	kerr.SaslAuthenticationFailed.Code:           {outcome: pipeline.Hold},
	kerr.UnsupportedSaslMechanism.Code:           {outcome: pipeline.Hold},
	kerr.IllegalSaslState.Code:                   {outcome: pipeline.Hold},
	kerr.UnsupportedCompressionType.Code:         {outcome: pipeline.Hold},
	kerr.UnsupportedForMessageFormat.Code:        {outcome: pipeline.Hold},
	kerr.UnsupportedVersion.Code:                 {outcome: pipeline.Hold},
	kerr.InvalidTimestamp.Code:                   {outcome: pipeline.Hold},
	kerr.InvalidTransactionTimeout.Code:          {outcome: pipeline.Hold},
	kerr.InvalidRequiredAcks.Code:                {outcome: pipeline.Hold},

	kerr.OutOfOrderSequenceNumber.Code: {producer: true},
	kerr.UnknownProducerID.Code:        {producer: true},
	kerr.InvalidProducerEpoch.Code:     {producer: true},
	kerr.ProducerFenced.Code:           {producer: true},
	kerr.InvalidTxnState.Code:          {producer: true},
	kerr.InvalidProducerIDMapping.Code: {producer: true},
	kerr.TransactionAbortable.Code:     {producer: true},
}

// judge returns what a broker's error means.
func judge(err error) verdict {
	var answer *kerr.Error
	if !errors.As(err, &answer) {
		return verdict{uncertain: !notSent(err), stale: true}
	}
	if v, known := verdicts[answer.Code]; known {
		return v
	}
	return verdict{uncertain: true}
}

// notSent reports whether a request cannot have left, as there was no connection.
func notSent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// advice says what to do about an error, in a few words.
func advice(err error) string {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return "; create it, or set create_topics: true"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "; give this user the right to Write (and to Describe) there"
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return "; give this user Write and Describe on transactional ids that begin with longshore-, or set " +
			"transactional: false"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "; give this user the right to IdempotentWrite on the cluster"
	case errors.Is(err, kerr.InvalidTransactionTimeout):
		return "; transaction.max.timeout.ms of the brokers is below a minute"
	}
	return ""
}

// sendError returns what Send returns where nothing was stored, for one reason.
func sendError(what string, err error, uncertain bool) *pipeline.SendError {
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return &pipeline.SendError{Outcome: judge(err).outcome, Uncertain: uncertain, Err: err,
			Reason: fmt.Sprintf("%s: %s%s", what, describe(answer), advice(err))}
	}
	failure := httpclient.RequestError(err)
	failure.Uncertain = uncertain
	failure.Reason = what + ": " + failure.Reason
	if errors.Is(err, context.DeadlineExceeded) {
		failure.Reason = what + ": no answer in time"
	}
	return failure
}

func describe(answer *kerr.Error) string {
	return fmt.Sprintf("%s (%s)", answer.Description, answer.Message)
}
