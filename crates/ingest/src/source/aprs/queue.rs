//! Between the socket, which is always read, and the sink, which may have to wait: a queue of bounded bytes. What finds no room is
//! counted and becomes a gap; nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::counts::{AprsCounts, add};
use super::gap::{Gap, GapReason};
use super::{Packet, PacketSink};

/// Bytes that a packet takes besides its own: its place in the queue and what the allocator adds.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Packets that are given to the sink at once, at most.
const HANDED_OVER_MAX: usize = 1_024;

enum Event {
    Packet(Packet),
    Gap(Gap),
}

/// The socket's end.
pub(super) struct Filler {
    events: mpsc::UnboundedSender<Event>,
    queued_bytes: Arc<AtomicUsize>,
    queued_bytes_max: usize,
    counts: Arc<AprsCounts>,
    /// The packets that found no room since one found some.
    overflow: Option<Gap>,
}

/// The sink's end.
pub(super) struct Drain {
    events: mpsc::UnboundedReceiver<Event>,
    queued_bytes: Arc<AtomicUsize>,
}

/// A queue of at most so many bytes.
pub(super) fn queue(queued_bytes_max: usize, counts: &Arc<AprsCounts>) -> (Filler, Drain) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let filler = Filler {
        events: sender,
        queued_bytes: Arc::clone(&queued_bytes),
        queued_bytes_max,
        counts: Arc::clone(counts),
        overflow: None,
    };
    let drain = Drain {
        events: receiver,
        queued_bytes,
    };
    (filler, drain)
}

impl Filler {
    /// Takes a packet, or notes that it found no room.
    pub(super) fn packet(&mut self, packet: &[u8], received_at_us: i64) {
        let bytes = packet.len() + PACKET_OVERHEAD_BYTES;
        add(&self.counts.packets, 1);
        add(&self.counts.bytes, packet.len());
        // Once it is full, half of it has to be free again: one long gap, not one for each packet that finds room.
        let room = match &self.overflow {
            None => self.queued_bytes_max,
            Some(_) => self.queued_bytes_max / 2,
        };
        if self.queued_bytes.load(Ordering::Acquire) + bytes > room {
            self.dropped(packet.len(), received_at_us);
            return;
        }
        self.end_overflow();
        self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.send(Event::Packet(Packet {
            bytes: Bytes::copy_from_slice(packet),
            received_at_us,
        }));
    }

    /// Tells of a gap, after the packets before it.
    pub(super) fn gap(&mut self, gap: Gap) {
        self.end_overflow();
        tracing::warn!(
            reason = gap.reason.code(),
            seconds = (gap.to_us - gap.from_us) / 1_000_000,
            server = gap.server.as_deref().unwrap_or_default(),
            attempts = gap.attempts,
            "packets are missing"
        );
        add(&self.counts.gaps, 1);
        self.send(Event::Gap(gap));
    }

    /// Tells of the packets that found no room, if there are any.
    pub(super) fn end_overflow(&mut self) {
        if let Some(gap) = self.overflow.take() {
            self.gap(gap);
        }
    }

    fn dropped(&mut self, bytes: usize, received_at_us: i64) {
        add(&self.counts.dropped_packets, 1);
        add(&self.counts.dropped_bytes, bytes);
        let gap = self.overflow.get_or_insert(Gap {
            from_us: received_at_us,
            to_us: received_at_us,
            reason: GapReason::Overflow,
            server: None,
            attempts: 0,
            packets: Some(0),
        });
        gap.to_us = gap.to_us.max(received_at_us);
        gap.packets = gap.packets.map(|packets| packets + 1);
    }

    fn send(&self, event: Event) {
        // The other end is gone only if the sink has failed: that ends the source, and the gap begins with the last packet stored.
        let _ = self.events.send(event);
    }
}

impl Drain {
    /// Gives everything to `sink`, in order, until the filler is gone.
    ///
    /// # Errors
    ///
    /// The sink's.
    pub(super) async fn into_sink<S: PacketSink>(mut self, sink: Arc<S>) -> Result<(), S::Error> {
        let mut events = Vec::with_capacity(HANDED_OVER_MAX);
        while self.events.recv_many(&mut events, HANDED_OVER_MAX).await > 0 {
            let mut packets = Vec::new();
            for event in events.drain(..) {
                match event {
                    Event::Packet(packet) => packets.push(packet),
                    Event::Gap(gap) => {
                        self.hand_over(&*sink, std::mem::take(&mut packets)).await?;
                        sink.gap(gap).await?;
                    }
                }
            }
            self.hand_over(&*sink, packets).await?;
        }
        Ok(())
    }

    async fn hand_over<S: PacketSink>(
        &self,
        sink: &S,
        packets: Vec<Packet>,
    ) -> Result<(), S::Error> {
        if packets.is_empty() {
            return Ok(());
        }
        let bytes: usize = packets
            .iter()
            .map(|packet| packet.bytes.len() + PACKET_OVERHEAD_BYTES)
            .sum();
        let result = sink.take(packets).await;
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        result
    }
}
