//! Links only if no function of the core that a device calls can panic.
//!
//! The panic handler calls a function that exists nowhere. Whatever the optimiser cannot show to be
//! unreachable keeps that call, and the linker then says `undefined symbol: panic_path_reached`.
//! [`core::hint::black_box`] hides every length and value, so nothing is proved from constants.
//! The feature `violate` adds one slice index: the image must then fail to link.
//!
//! Not called: `Display` and `Debug`, which format text and are for hosts.
#![no_std]
#![no_main]

use core::hint::black_box;

use certus_core::round::{eta_times, gamma_factor, up};
use certus_core::{Affine, Dense, Layer, Network, Scale, infer};

#[cfg(not(feature = "locate"))]
unsafe extern "C" {
    fn panic_path_reached() -> !;
}

#[cfg(not(feature = "locate"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never executed; the symbol is undefined, so an image that reaches it does not link.
    unsafe { panic_path_reached() }
}

/// Links with panic paths and keeps their places in the image, to be read out of it.
#[cfg(feature = "locate")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        black_box(info.location());
    }
}

/// Memory of unknown contents and length.
fn memory() -> &'static mut [f32] {
    black_box::<&'static mut [f32]>(&mut [])
}

fn numbers() -> &'static [f32] {
    black_box::<&'static [f32]>(&[])
}

fn size() -> usize {
    black_box(0)
}

fn flag() -> bool {
    black_box(false)
}

#[inline(never)]
fn layers() -> Option<[Layer<'static>; 2]> {
    let dense = Dense::new(size(), size(), numbers(), numbers()).ok()?;
    let scale = Scale::new(numbers(), numbers()).ok()?;
    black_box((dense.rows(), dense.cols(), dense.weights(), dense.bias(), scale.scale(), scale.shift()));
    Some([Layer::dense(dense, flag()), Layer::scale(scale, flag())])
}

#[inline(never)]
fn network<'a>(layers: &'a [Layer<'a>]) -> Option<Network<'a>> {
    for layer in layers {
        if let Affine::Dense(dense) = layer.affine() {
            for row in dense.row_iter() {
                black_box(row);
            }
        }
        black_box((
            layer.relu(),
            layer.inputs(),
            layer.outputs(),
            layer.forward_roundings(),
            layer.products(),
        ));
    }
    let network = Network::new(black_box(layers)).ok()?;
    black_box((network.inputs(), network.outputs(), network.width(), network.neurons(), network.layers()));
    Some(network)
}

#[inline(never)]
fn inference(network: &Network<'_>) {
    black_box(infer::forward_scratch_len(network));
    black_box(infer::forward(network, numbers(), memory(), memory())).ok();
    black_box((infer::relu(black_box(0.0)), infer::dot_blocked(numbers(), numbers(), black_box(0.0))));
    black_box((up(black_box(0.0)), gamma_factor(size()), eta_times(size())));
}

#[cfg(feature = "ibp")]
#[inline(never)]
fn bounds(network: &Network<'_>, method: certus_core::bounds::Method) {
    use certus_core::bounds;
    black_box(bounds::memory_len(network, method));
    black_box(bounds::prepare(network, numbers(), numbers(), method, memory())).ok();
    black_box(bounds::row_lower(network, method, numbers(), memory())).ok();
}

#[cfg(feature = "artifact")]
#[inline(never)]
fn artifact() -> Option<certus_core::ArtifactView<'static>> {
    let view = certus_core::ArtifactView::new_checked(black_box::<&'static [u8]>(&[])).ok()?;
    black_box((view.bytes(), view.version(), view.digest(), view.spec(), view.live_bounds()));
    black_box((view.inputs(), view.outputs(), view.width(), view.neurons(), view.region_count()));
    black_box((view.range_lower(), view.range_upper(), view.epsilon()));
    view.sections().for_each(|section| _ = black_box(section));
    view.layers().for_each(|layer| _ = black_box(layer));
    view.regions().for_each(|region| _ = black_box((region.meanings.real(), region.meanings.f32(), region)));
    view.proofs().for_each(|proof| _ = black_box(proof));
    view.provenance().for_each(|pair| _ = black_box(pair));
    Some(view)
}

#[cfg(feature = "monitor")]
#[inline(never)]
fn monitor(view: certus_core::ArtifactView<'static>) {
    use certus_core::monitor::{Monitor, MonitorRef, memory_len, worst_case_interval_ops, worst_case_ops};
    black_box((memory_len(&view), worst_case_ops(&view), worst_case_interval_ops(&view)));
    if let Ok(mut monitor) = Monitor::<8, 1024>::new(view) {
        black_box(monitor.step(numbers()));
        black_box(monitor.output_bounds(memory(), memory())).ok();
        black_box((monitor.outputs(), monitor.view()));
    }
    if let Ok(mut monitor) = MonitorRef::new(view, black_box::<&'static [Layer<'static>]>(&[]), memory()) {
        black_box(monitor.step(numbers()));
        black_box(monitor.output_bounds(memory(), memory())).ok();
        black_box((monitor.outputs(), monitor.view()));
    }
}

#[cfg(feature = "program")]
#[inline(never)]
fn program() -> Option<()> {
    use certus_core::artifact::ProgramView;
    use certus_core::bounds::{Method, program as bounds};
    use certus_core::monitor::{
        Order, ProgramMonitor, ProgramMonitorRef, Window, program_memory_len,
        program_worst_case_interval_ops, program_worst_case_ops,
    };
    use certus_core::program::{Place, Planned, Program, Slot, Step, Term, forward};
    fn any<T>() -> &'static mut [T] {
        black_box::<&'static mut [T]>(&mut [])
    }
    let (steps, terms): (&'static [Step<'static>], &'static [Term<'static>]) = (any(), any());
    let program = Program::new(size(), steps, terms).ok()?;
    black_box((program.inputs(), program.outputs(), program.slots(), program.output()));
    program.steps().iter().for_each(|step| program.for_each_input(step, |slot| _ = black_box(slot)));
    let planned = Planned::new(program, any::<Place>(), memory()).ok()?;
    black_box((planned.sizes(), forward::forward_memory_len(&planned)));
    black_box(forward::forward(&planned, numbers(), memory(), memory())).ok();
    let method = black_box(Method::CrownFull);
    black_box(bounds::memory_len(&planned, method));
    black_box(bounds::prepare(&planned, numbers(), numbers(), method, memory())).ok();
    black_box(bounds::row_lower(&planned, method, numbers(), memory())).ok();
    black_box(bounds::interval(&planned, Slot(size()), memory()));
    let view = ProgramView::new_checked(black_box::<&'static [u8]>(&[])).ok()?;
    black_box((view.inputs(), view.outputs(), view.step_count(), view.term_count(), view.bytes()));
    view.steps().for_each(|step| _ = black_box(step));
    view.terms().for_each(|term| _ = black_box(term));
    black_box((program_memory_len(&view, &planned), program_worst_case_ops(&view, &planned)));
    black_box(program_worst_case_interval_ops(&view, &planned));
    if let Ok(mut monitor) = ProgramMonitor::<8, 8, 9, 1024>::new(view) {
        black_box(monitor.step(numbers()));
        black_box(monitor.output_bounds(memory(), memory())).ok();
        black_box((monitor.outputs(), monitor.view()));
    }
    if let Ok(mut monitor) = ProgramMonitorRef::new(view, any(), any(), any(), memory()) {
        black_box(monitor.step(numbers()));
        black_box(monitor.output_bounds(memory(), memory())).ok();
        black_box((monitor.outputs(), monitor.view()));
    }
    let order = if flag() { Order::ChannelMajor } else { Order::TimeMajor };
    let mut window = Window::<64>::new(size(), order)?;
    black_box(window.push(numbers()));
    black_box(window.values());
    window.clear();
    order.spread(numbers(), memory());
    Some(())
}

#[cfg(feature = "proof")]
#[inline(never)]
fn proof(network: Network<'_>) {
    use certus_core::proof::{self, Meaning, Memory, Plain, Problem, TreeMemory};
    fn any<T>() -> &'static mut [T] {
        black_box::<&'static mut [T]>(&mut [])
    }
    let problem = Problem { network, disjuncts: any(), meaning: black_box(Meaning::RealAndF32) };
    let mut memory = Memory { floats: any(), index: any(), lanes: size() };
    black_box(proof::memory_len(&network, size()));
    black_box(proof::check_leaf(&problem, &mut Plain, (any(), any()), any(), any(), &mut memory)).ok();
    let walked = proof::walk(&problem, any(), (any(), any()), any(), any(), |region, splits, leaf| {
        black_box((region, splits));
        leaf.parse(any())
    });
    black_box(walked).ok();
    let tree = TreeMemory { frames: any(), splits: any(), claims: any() };
    black_box(proof::check_tree(&problem, &mut Plain, any(), (any(), any()), tree, &mut memory)).ok();
}

#[cfg(feature = "violate")]
fn violate() {
    black_box(numbers()[size()]);
}

/// The entry of an image that is linked and not run.
#[unsafe(no_mangle)]
extern "C" fn _start() {
    let layers = layers();
    if let Some(network) = layers.as_ref().and_then(|layers| network(layers)) {
        inference(&network);
        #[cfg(feature = "ibp")]
        bounds(&network, certus_core::bounds::Method::Ibp);
        #[cfg(feature = "crown")]
        {
            use certus_core::bounds::{Method, pre_activations};
            bounds(&network, black_box(Method::CrownFull));
            black_box(pre_activations(&network, memory())).ok();
        }
        #[cfg(feature = "proof")]
        proof(network);
    }
    #[cfg(feature = "artifact")]
    if let Some(view) = artifact() {
        #[cfg(feature = "monitor")]
        monitor(view);
        black_box(view);
    }
    #[cfg(feature = "program")]
    black_box(program());
    #[cfg(feature = "violate")]
    violate();
}
