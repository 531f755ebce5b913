// Package kafka reads topics of Apache Kafka, as a member of a consumer group or without one.
//
//   - A partition is a source, and offsets are its positions. What is committed is the cursor:
//     never above the lowest record that is not done at every output. With it goes the state that
//     is needed to go on elsewhere.
//   - A record's identity is that of its origin, where a Longshore has sent it: its headers name
//     the source and the position there. Any other's is cluster, topic and offset. So whoever reads
//     a partition next gives each record the same identity, and the same time.
//   - Who adopts a partition does not know what the member before has sent since its last commit.
//     So all that was there at that moment is uncertain, and is looked up before it is sent. A
//     member that hands over in order commits that nothing is, and the next one takes that back
//     before it sends anything.
//   - The commit of a member that was taken for dead is refused by the group. What it has handed to
//     the outputs by then may still be sent: see docs/guarantees.md.
package kafka
