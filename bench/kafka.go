package main

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const kafkaOutput = `{type: kafka, brokers: ["%%s"], topic: bench, compression: %s}`

// kafka starts a broker that counts the records of produce requests, and keeps none, and returns
// its address.
func (r *receiver) kafka() (string, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(8, "bench"))
	if err != nil {
		return "", fmt.Errorf("starting a broker: %w", err)
	}
	r.broker = cluster
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return r.produced(req.(*kmsg.ProduceRequest)), nil, true
	})
	return cluster.ListenAddrs()[0], nil
}

// produced counts the records of a request, and answers.
func (r *receiver) produced(req *kmsg.ProduceRequest) kmsg.Response {
	const recordsAt = 57 // of a record batch's head
	answer := req.ResponseKind().(*kmsg.ProduceResponse)
	records, sent := 0, 0
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			records += int(binary.BigEndian.Uint32(p.Records[recordsAt:]))
			sent += len(p.Records)
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition = p.Partition
			topic.Partitions = append(topic.Partitions, partition)
		}
		answer.Topics = append(answer.Topics, topic)
	}
	r.count(records, sent)
	return answer
}
