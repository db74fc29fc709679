"""Takes DLPack's capsules apart by hand, as `dlpack.h` has them, and copies to and from a card through the driver's own library."""

import ctypes
from contextlib import contextmanager


class Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("index", ctypes.c_int32)]


class Numbers(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("dimensions", ctypes.c_int32),
        ("numbers", Numbers),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]


Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


_api = ctypes.pythonapi
_api.PyCapsule_GetName.restype = ctypes.c_char_p
_api.PyCapsule_GetName.argtypes = [ctypes.py_object]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]

# Capsules keep the pointer to their name.
USED = {b"dltensor": b"used_dltensor", b"dltensor_versioned": b"used_dltensor_versioned"}


@contextmanager
def taken(capsule):
    """The structure of a capsule, which is taken, and given back in the end."""
    name = _api.PyCapsule_GetName(capsule)
    layout = Versioned if name == b"dltensor_versioned" else Managed
    address = _api.PyCapsule_GetPointer(capsule, name)
    _api.PyCapsule_SetName(capsule, USED[name])
    managed = layout.from_address(address)
    try:
        yield managed
    finally:
        managed.deleter(address)


class Card:
    """The driver of a card, with its primary context, which all libraries share."""

    def __init__(self, index=0):
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.told("cuInit", 0)
        context = ctypes.c_void_p()
        self.told("cuDevicePrimaryCtxRetain", ctypes.byref(context), index)
        self.told("cuCtxSetCurrent", context)

    def told(self, name, *arguments):
        code = getattr(self.driver, name)(*arguments)
        assert code == 0, f"{name}: {code}"

    def write(self, address, numbers):
        """Copies an array of numpy to an address of the card."""
        self.told("cuMemcpyHtoD_v2", ctypes.c_uint64(address), ctypes.c_void_p(numbers.ctypes.data), ctypes.c_size_t(numbers.nbytes))

    def read(self, address, numbers):
        """Fills an array of numpy from an address of the card."""
        self.told("cuMemcpyDtoH_v2", ctypes.c_void_p(numbers.ctypes.data), ctypes.c_uint64(address), ctypes.c_size_t(numbers.nbytes))
