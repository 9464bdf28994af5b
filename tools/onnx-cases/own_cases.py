"""Cases beside those of the ONNX standard: older operator sets, odd geometry, constants on either side."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(20)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def positive(*shape):
    return RANDOM.uniform(0.5, 2.0, size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def one(name, operator, x, constants=(), versions=None, outputs=1, output=0, inputs=None, **attributes):
    """`x` is the first operand unless `inputs` says where it is; constants take the other places."""
    constants = {f"c{i}": c for i, c in enumerate(constants) if c is not None}
    given = inputs or ["x", *constants]
    names = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(operator, given, names, **attributes)
    graph = helper.make_graph(
        [node],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(names[output], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(c, n) for n, c in constants.items()],
    )
    return f"{operator.lower()}_{name}", operator, graph, x, versions


def folded(name, operator, constants, versions=None, **attributes):
    """`y = float(operator of constants) + x`: what is computed at import."""
    names = [f"c{i}" for i in range(len(constants))]
    nodes = [
        helper.make_node(operator, names, ["result"], **attributes),
        helper.make_node("Cast", ["result"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["as_float", "x"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(c, n) for n, c in zip(names, constants)],
    )
    return f"{operator.lower()}_{name}", operator, graph, np.array([0.5], np.float32), versions


def constants():
    numbers = np.array([[-2.5, 0.0, 3.75], [-0.0, 7.0, -7.9]], np.float32)
    whole = [ints(-7, -3, 0, 5, 12), ints(2, -2, 3, -3, 5)]
    for to in [TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.FLOAT]:
        sets = {7, 9, 13, 19, 21, 23, 24, 25}
        yield folded(f"numbers_to_{to}", "Cast", [numbers], sets, to=to)
        yield folded(f"integers_to_{to}", "Cast", [whole[0]], sets, to=to)
    yield folded("integer", "CastLike", [numbers, whole[0]], {15, 19, 21, 23, 24, 25})
    yield folded("number", "CastLike", [whole[0], numbers], {15, 19, 21, 23, 24, 25})
    for operator in ["Add", "Sub", "Mul", "Div", "Equal", "Less", "Greater", "Max", "Min"]:
        yield folded("integers", operator, whole, {13, 21})
    yield folded("integers", "Mod", whole)
    yield folded("integers", "LessOrEqual", whole)
    yield folded("numbers", "GreaterOrEqual", [numbers, np.float32(0)])
    for operator in ["And", "Or", "Xor"]:
        yield folded("pairs", operator, [np.array([True, True, False, False]), np.array([True, False, True, False])])
    yield folded("pairs", "Not", [np.array([True, False])])
    yield folded("down", "Range", [np.array(v, np.int64) for v in [9, -4, -3]], {11, 21})
    yield folded("numbers", "Range", [np.array(v, np.float32) for v in [-2, 7, 2]], {11, 21})
    yield folded("part", "Shape", [numbers], {15, 19, 21, 23, 24, 25}, start=-1)
    yield folded("all", "Shape", [numbers], {7, 13, 15, 21})
    yield folded("all", "Size", [numbers], {7, 13, 19, 21, 23, 24, 25})
    yield folded("sum", "ReduceSum", [ints(1, 2, 3, 4).reshape(2, 2), ints(0)], {13, 21}, keepdims=0)
    yield folded("product", "ReduceProd", [ints(1, 2, 3, 4)], {13}, keepdims=0)
    yield folded("default", "ConstantOfShape", [ints(2, 3)])
    three = numpy_helper.from_array(np.array([3], np.int64))
    yield folded("integers", "ConstantOfShape", [ints(2, 3)], value=three)
    yield folded("integers", "Gather", [ints(5, 6, 7), np.array([-1, 0], np.int64)], {11, 13, 21})
    yield folded("integers", "Slice", [ints(5, 6, 7, 8), ints(-1), ints(0), ints(0), ints(-2)], {10, 13, 21})


def convolutions():
    x, w, b = normal(1, 4, 7, 6), normal(6, 4, 3, 2), normal(6)
    yield one("asymmetric_pads", "Conv", x, [w, b], pads=[0, 1, 2, 0], strides=[2, 1])
    yield one("dilated", "Conv", x, [w], dilations=[2, 3], pads=[1, 2, 1, 2])
    yield one("groups", "Conv", x, [normal(6, 2, 3, 3), b], group=2, pads=[1, 1, 1, 1])
    yield one("depthwise", "Conv", x, [normal(4, 1, 3, 3)], group=4, strides=[2, 2])
    yield one("same_upper", "Conv", x, [w, b], auto_pad="SAME_UPPER", strides=[2, 3])
    yield one("same_lower", "Conv", x, [w, b], auto_pad="SAME_LOWER", strides=[2, 2])
    yield one("same_upper_dilated", "Conv", x, [w], auto_pad="SAME_UPPER", dilations=[2, 2])
    yield one("valid", "Conv", x, [w, b], auto_pad="VALID")
    yield one("one_dimension", "Conv", normal(2, 3, 11), [normal(4, 3, 4), normal(4)], pads=[2, 1], strides=[3])
    yield one("three_dimensions", "Conv", normal(1, 2, 4, 5, 3), [normal(3, 2, 2, 3, 2)], pads=[1, 0, 0, 0, 2, 1])
    w, b = normal(4, 6, 3, 2), normal(6)
    yield one("plain", "ConvTranspose", x, [w, b])
    yield one("strided", "ConvTranspose", x, [w, b], strides=[2, 3], pads=[1, 0, 2, 1])
    yield one("output_padding", "ConvTranspose", x, [w], strides=[2, 3], output_padding=[1, 2])
    yield one("output_shape", "ConvTranspose", x, [w], strides=[2, 2], output_shape=[14, 11])
    yield one("output_shape_upper", "ConvTranspose", x, [w], strides=[2, 2], output_shape=[14, 11], auto_pad="SAME_UPPER")
    yield one("same_upper", "ConvTranspose", x, [w], strides=[2, 2], auto_pad="SAME_UPPER")
    yield one("same_lower", "ConvTranspose", x, [w], strides=[2, 1], auto_pad="SAME_LOWER")
    yield one("dilated", "ConvTranspose", x, [w, b], dilations=[2, 2], pads=[1, 1, 0, 0])
    yield one("groups", "ConvTranspose", x, [normal(4, 3, 3, 3), b], group=2, strides=[2, 2])
    yield one("one_dimension", "ConvTranspose", normal(1, 3, 6), [normal(3, 2, 4)], strides=[2], pads=[1, 1])


def pools():
    x = normal(1, 2, 7, 8)
    for operator in ["MaxPool", "AveragePool"]:
        yield one("asymmetric_pads", operator, x, kernel_shape=[3, 2], pads=[1, 0, 2, 1], strides=[2, 2])
        yield one("ceil", operator, x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        yield one("ceil_padded", operator, x, kernel_shape=[2, 3], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1)
        yield one("same_upper", operator, x, kernel_shape=[3, 2], strides=[2, 3], auto_pad="SAME_UPPER")
        yield one("same_lower", operator, x, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER")
        yield one("valid", operator, x, kernel_shape=[3, 2], auto_pad="VALID")
        yield one("dilated", operator, x, kernel_shape=[2, 3], dilations=[3, 2], strides=[1, 2])
        yield one("one_dimension", operator, normal(1, 3, 9), kernel_shape=[4], strides=[2], pads=[1, 2])
        yield one("three_dimensions", operator, normal(1, 1, 4, 5, 4), kernel_shape=[2, 2, 3], pads=[0, 1, 1, 1, 0, 1])
    include = {"count_include_pad": 1}
    yield one("include_pad", "AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], **include)
    yield one("include_asymmetric", "AveragePool", x, kernel_shape=[3, 2], pads=[2, 0, 1, 1], **include)
    yield one("include_ceil", "AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, **include)
    yield one("three_dimensions", "GlobalAveragePool", normal(2, 3, 2, 3, 2))
    yield one("one_dimension", "GlobalMaxPool", normal(1, 3, 5))


def products():
    yield one("left_constant", "MatMul", normal(3, 4), [normal(2, 3)], inputs=["c0", "x"])
    yield one("broadcast", "MatMul", normal(2, 1, 3, 4), [normal(5, 4, 2)])
    yield one("vector_right", "MatMul", normal(2, 3, 4), [normal(4)])
    yield one("vector_left", "MatMul", normal(4), [normal(3, 4, 2)])
    yield one("squared", "MatMul", normal(3, 3), inputs=["x", "x"])
    a, b = normal(3, 4), normal(4, 5)
    yield one("all", "Gemm", a.T.copy(), [b.T.copy(), normal(5)], transA=1, transB=1, alpha=0.3, beta=1.7)
    yield one("column_bias", "Gemm", a, [b, normal(3, 1)], alpha=-1.0)
    yield one("left_constant", "Gemm", b, [a, normal(1, 5)], inputs=["c0", "x", "c1"])
    yield one("one_row", "Gemm", normal(1, 4), [normal(5, 4), normal(5)], transB=1)
    yield one("no_bias", "Gemm", a, [b], versions={11, 13, 21})


def moves():
    x = normal(2, 3, 4, 5)
    yield one("attributes", "Slice", x, versions={7}, starts=[1, -3], ends=[1000, -1], axes=[1, -1])
    yield one("attributes_no_axes", "Slice", x, versions={7}, starts=[0, 1], ends=[1, -1])
    yield one("negative_steps", "Slice", x, [ints(-1, 3), ints(-1000, -5), ints(3, 2), ints(-2, -1)], {10, 11, 13, 21})
    yield one("int_max", "Slice", x, [ints(1), ints(2**63 - 1), ints(-2), ints(2)], {10, 11, 13, 21})
    for index in range(2):
        yield one(f"attribute_{index}", "Split", x, (), {7, 11}, 2, index, axis=-2, split=[1, 3])
        yield one(f"equal_{index}", "Split", x, (), {7, 11, 13}, 2, index, axis=2)
        yield one(f"operand_{index}", "Split", x, [ints(3, 2)], {13, 18, 21}, 2, index, axis=3)
    for index in range(3):
        yield one(f"uneven_{index}", "Split", x, (), {18, 21}, 3, index, axis=3, num_outputs=3)
    pads = [0, 1, 2, 0, 0, 0, 1, 2]
    for mode in ["constant", "reflect", "edge"]:
        yield one(f"attribute_{mode}", "Pad", x, versions={7}, pads=pads, mode=mode)
        yield one(f"operand_{mode}", "Pad", x, [ints(*pads)], {11, 13, 18, 21}, mode=mode)
    yield one("value_attribute", "Pad", x, versions={7}, pads=pads, value=-1.5)
    yield one("value", "Pad", x, [ints(*pads), np.float32(2.5)], {11, 13, 18, 21})
    yield one("negative", "Pad", x, [ints(0, -1, 1, 0, 0, 0, -2, 1)], {11, 13, 18, 21})
    yield one("axes", "Pad", x, [ints(1, 2, 0, 1), np.float32(0), ints(-1, 1)], {18, 19, 21})
    yield one("wrap", "Pad", x, [ints(0, 2, 1, 3, 0, 1, 3, 0)], {19, 21}, mode="wrap")
    yield one("squeeze_all", "Squeeze", normal(1, 3, 1, 2), versions={7, 11, 13, 21})
    yield one("attribute", "Squeeze", normal(1, 3, 1, 2), versions={7}, axes=[2])
    yield one("attribute_negative", "Squeeze", normal(1, 3, 1, 2), versions={11}, axes=[-2])
    yield one("attribute", "Unsqueeze", normal(3, 2), versions={7, 11}, axes=[0, 3])
    yield one("operand", "Unsqueeze", normal(3, 2), [ints(-1, 0)], {13, 21})
    yield one("negative_axis", "Flatten", x, versions={11, 13, 21}, axis=-2)
    yield one("axis_0", "Flatten", x, axis=0)
    yield one("zero_and_minus_one", "Reshape", x, [ints(0, -1, 2)])
    yield one("default", "Transpose", normal(2, 3, 4))
    yield one("order", "Transpose", x, perm=[2, 0, 3, 1])
    yield one("constants", "Concat", normal(2, 3), [normal(2, 1), normal(2, 2)], {11, 13, 21}, inputs=["c0", "x", "c1", "x"], axis=-1)
    yield one("first_axis", "Concat", normal(2, 3), [normal(1, 3)], axis=0)
    yield one("rows", "Gather", x, [np.array([[2, 0], [-1, 1]], np.int64)], {11, 13, 21}, axis=1)
    yield one("scalar", "Gather", x, [np.array(1, np.int64)], axis=-1)
    yield one("negative", "GatherElements", normal(3, 4), [np.array([[-1, 0], [1, 2]], np.int64)], {11, 13, 21}, axis=1)
    yield one("both_ways", "Expand", normal(3, 1), [ints(2, 1, 4)])
    yield one("all", "Tile", normal(2, 3), [ints(2, 3)])
    yield one("mode_dcr", "DepthToSpace", normal(1, 8, 2, 3), versions={11, 13, 21}, blocksize=2, mode="DCR")
    yield one("mode_crd", "DepthToSpace", normal(1, 8, 2, 3), versions={11, 13, 21}, blocksize=2, mode="CRD")
    yield one("old", "DepthToSpace", normal(1, 8, 2, 3), versions={7, 11, 13}, blocksize=2)
    yield one("wide", "SpaceToDepth", normal(1, 2, 4, 6), blocksize=2)
    yield one("broadcast", "Where", normal(3, 1), [np.array([[True], [False]]).reshape(1, 2), normal(2)], {9, 16, 21}, inputs=["c0", "x", "c1"])
    yield one("lower", "Trilu", normal(2, 3, 4), [np.array(-1, np.int64)], {14, 21}, upper=0)
    yield one("upper", "Trilu", normal(2, 3, 4), [np.array(1, np.int64)], {14, 21})


def resizes():
    x = normal(1, 2, 3, 4)
    scales = np.array([1, 1, 2, 3], np.float32)
    empty = np.zeros(0, np.float32)
    yield one("attribute", "Upsample", x, versions={7}, scales=[1.0, 1.0, 2.0, 3.0])
    yield one("operand", "Upsample", x, [scales], {9}, mode="nearest")
    yield one("fraction", "Upsample", x, [np.array([1, 1, 1.5, 2.5], np.float32)], {9})
    yield one("linear", "Upsample", x, [np.array([1, 1, 2, 4], np.float32)], {9}, mode="linear")
    yield one("nearest_10", "Resize", x, [np.array([1, 1, 2, 0.5], np.float32)], {10})
    modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    for coordinates in modes:
        for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]:
            set_ = dict(coordinate_transformation_mode=coordinates, nearest_mode=rounding)
            yield one(f"{coordinates}_{rounding}", "Resize", x, [empty, np.array([1, 1, 2, 1.5], np.float32)], {11, 13, 18, 19, 21}, **set_)
    sizes = dict(inputs=["x", "", "", "c0"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield one("sizes", "Resize", x, [ints(1, 2, 7, 3)], {13, 18, 19, 21}, **sizes)
    yield one("axes", "Resize", x, [ints(6, 6)], {18, 19, 21}, axes=[3, 2], **sizes)
    linear = dict(mode="linear", inputs=["x", "", "c0"])
    for coordinates in ["half_pixel", "asymmetric", "pytorch_half_pixel"]:
        yield one(f"linear_{coordinates}", "Resize", x, [np.array([1, 1, 2, 4], np.float32)], {13, 18, 19, 21}, coordinate_transformation_mode=coordinates, **linear)
    yield one("linear_down", "Resize", normal(1, 1, 4, 8), [np.array([1, 1, 0.5, 0.25], np.float32)], {13, 18, 19, 21}, **linear)
    yield one("symmetric", "Resize", x, [np.array([1, 1, 1.7, 1.2], np.float32)], {19, 21}, inputs=["x", "", "c0"], coordinate_transformation_mode="half_pixel_symmetric")


def functions():
    x = normal(2, 3, 4)
    yield one("attributes", "Clip", x, versions={7}, min=-0.5, max=0.25)
    yield one("open_below", "Clip", x, versions={7}, max=0.25)
    yield one("operands", "Clip", x, [np.float32(-0.5), np.float32(0.25)], {11, 12, 13, 21})
    yield one("only_max", "Clip", x, [np.float32(0.25)], {11, 12, 13, 21}, inputs=["x", "", "c0"])
    yield one("channels", "PRelu", normal(1, 3, 2, 2), [normal(3, 1, 1)])
    yield one("scalar", "PRelu", x, [normal(1)])
    yield one("celu", "Celu", x, alpha=0.7)
    yield one("selu", "Selu", x, alpha=1.2, gamma=0.8)
    yield one("elu", "Elu", x, alpha=0.6)
    yield one("tanh", "Gelu", x, versions={20, 21}, approximate="tanh")
    yield one("exact", "Gelu", x, versions={20, 21})
    yield one("reversed", "Sub", x, [normal(4)], inputs=["c0", "x"])
    yield one("reversed", "Div", positive(2, 3), [normal(2, 3)], inputs=["c0", "x"])
    yield one("widened", "Add", normal(3, 1), [normal(2, 1, 4)])
    yield one("computed", "Mul", x, inputs=["x", "x"])
    yield one("square", "Pow", x, [np.float32(2)])
    yield one("cube_of_array", "Pow", x, [np.full((3, 1), 3, np.float32)])
    yield one("root", "Pow", positive(3, 2), [np.float32(0.5)])
    yield one("integer", "Pow", x, [ints(3)], {12, 13, 15, 21})
    yield one("base", "Pow", normal(3, 2), [positive(2)], inputs=["c0", "x"])
    yield one("exponents", "Pow", positive(3, 2), [positive(2)])
    for operator in ["Max", "Min", "Sum", "Mean"]:
        yield one("three", operator, normal(3, 1), [normal(4), normal(2, 1, 1)], {8, 13, 21}, inputs=["c0", "x", "c1"])
        yield one("same_shape", operator, normal(3, 2), [normal(3, 2)], {7, 8, 13, 21})
        yield one("alone", operator, normal(3))
    yield one("relu6", "HardSwish", normal(3, 4) * 4)
    for operator in ["Erf", "Mish", "Softplus", "Sigmoid", "Tanh", "Atan", "Tan"]:
        yield one("wide", operator, normal(4, 5) * 3)
    yield one("ratio", "Dropout", x, versions={7, 10}, ratio=0.3)
    yield one("ratio_operand", "Dropout", x, [np.float32(0.3), np.array(False)], {12, 13, 21})
    yield one("swish", "Swish", x, versions={24, 25}, alpha=0.7)


def reductions():
    x = positive(2, 3, 4)
    for name in ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]:
        operator = "Reduce" + name
        old = {7, 11} if name == "Sum" else {7, 11, 13}
        new = {13, 21} if name == "Sum" else {18, 20, 21}
        yield one("attribute", operator, x, versions=old, axes=[0, 2], keepdims=0)
        yield one("negative", operator, x, versions=old - {7}, axes=[-2], keepdims=1)
        yield one("all", operator, x)
        yield one("operand", operator, x, [ints(-1, 0)], new, keepdims=0)
        yield one("noop", operator, x, versions=new, noop_with_empty_axes=1)


def normalizations():
    x = normal(2, 4, 3, 2)
    parts = [normal(4), normal(4), normal(4), positive(4)]
    yield one("epsilon", "BatchNormalization", x, parts, epsilon=0.1)
    yield one("flat", "BatchNormalization", normal(3, 4), parts)
    for axis in [0, 1, 2]:
        yield one(f"old_{axis}", "Softmax", normal(2, 3, 4), versions={7, 11}, axis=axis)
        yield one(f"new_{axis}", "Softmax", normal(2, 3, 4), versions={13, 21}, axis=axis)
        yield one(f"old_{axis}", "LogSoftmax", normal(2, 3, 4), versions={7, 11}, axis=axis)
        yield one(f"new_{axis}", "LogSoftmax", normal(2, 3, 4), versions={13, 21}, axis=axis)
    yield one("default_old", "Softmax", normal(2, 3, 4), versions={7, 11})
    yield one("default_new", "Softmax", normal(2, 3, 4), versions={13, 21})
    yield one("large", "Softmax", normal(2, 3) * 100, versions={13})
    yield one("bias", "LayerNormalization", x, [normal(3, 2), normal(3, 2)], axis=2, epsilon=0.01)
    yield one("no_bias", "LayerNormalization", x, [normal(2)])
    yield one("channels", "InstanceNormalization", x, [normal(4), normal(4)], epsilon=0.02)
    # Few runtimes take the version with one number for each group; the other one says the same.
    scale, bias = normal(2), normal(2)
    twice = one("", "GroupNormalization", x, [scale.repeat(2), bias.repeat(2)], num_groups=2)
    yield *one("each_group", "GroupNormalization", x, [scale, bias], {18}, num_groups=2), twice[2]
    yield one("each_channel", "GroupNormalization", x, [normal(4), normal(4)], {21}, num_groups=2)
    yield one("axis", "RMSNormalization", x, [normal(3, 2)], {23, 24}, axis=-2, epsilon=0.1)


def cases():
    for family in [constants, convolutions, pools, products, moves, resizes, functions, reductions, normalizations]:
        yield from family()
