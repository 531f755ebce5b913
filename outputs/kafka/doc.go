// Package kafka sends records to topics of Apache Kafka, and of what speaks its protocol.
//
// It writes record batches itself and sends them by franz-go's connections: a body holds the
// records as they stand in a batch, so that nothing is made for a record when it is sent, and a
// request is one attempt whose outcome is known partition by partition. franz-go's own producer
// retries for as long as it likes, and cannot be told to give a record back.
//
// With transactions (the default) each body is one: all of it is committed, or nothing. A
// transaction that was begun by a run that was killed, or whose commit was not answered, is ended
// by fencing its transactional id, which is kept in the output's folder: whatever is still on its
// way then is refused. Only then the partitions are read from shortly before the first record that
// may have been sent (see note), and what is not there is sent. Without transactions a request that
// is on its way when it is given up may still be written, after the reading.
package kafka
